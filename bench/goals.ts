import { middle, type Row, ratio, type Section, spreadOf } from './figures.ts';

/** One line of the goals: a figure of ours against what it must and what it should be. */
export interface Judged {
  /** Row of the table of goals. */
  goal: string;
  what: string;
  /** NaN: not measured. */
  value: number;
  must?: number;
  aim?: number;
  /** Whether more is better. */
  isFloor: boolean;
  unit: string;
}

/** Rates of other products against the same kind of yardstick, measured once; ranges by their middle. */
const others = {
  mercuriusList: 0.355,
  postGraphileList: 0.38,
  directusRestList: 0.085,
  directusGraphqlList: 0.07,
  directusIngest100: 0.05,
  directusDeep: 0.02,
  mercuriusFan: 42_277 / 148_204,
};

/** Judges a section; `small` is the one of 10k conversations, which growth is measured from. */
export function judge(section: Section, small: Section | undefined): Judged[] {
  const row = (name: string) => section.rows.find((one) => one.name === name);
  return [
    ...ingestGoals(row),
    ...readGoals(row, section.size),
    ...fanGoals(row),
    ...sendGoals(row),
    ...(section.size !== '10k' && small ? growthGoals(section, small) : []),
    ...startGoals(section),
    ...cpuGoals(row),
  ];
}

const filteredLists = ['list_name', 'list_tag', 'list_unread'];

type Find = (name: string) => Row | undefined;

const floor = (goal: string, what: string, value: number, must?: number, aim?: number): Judged => ({
  goal,
  what,
  value,
  must,
  aim,
  isFloor: true,
  unit: 'x',
});
const cap = (goal: string, what: string, value: number, must?: number, aim?: number, unit = 'x'): Judged => ({
  goal,
  what,
  value,
  must,
  aim,
  isFloor: false,
  unit,
});

function ingestGoals(row: Find): Judged[] {
  const single = ['ingest:1@16', 'ingest:1@64'].flatMap((name) => [
    floor('a1', `${name} / pgbench`, ratio(row(name), 'rest', 'pgbench'), 0.4, 0.6),
    floor('a1', `${name} / yardstick`, ratio(row(name), 'rest', 'yardstick'), 1),
    floor('a1', `${name} / coalesced yardstick`, ratio(row(name), 'rest', 'coalesced'), undefined, 0.8),
  ]);
  const hundred = row('ingest:100@16');
  return [
    ...single,
    floor('a2', 'ingest:10@16 / pgbench', ratio(row('ingest:10@16'), 'rest', 'pgbench'), 0.5, 0.7),
    floor('a3', 'ingest:100@16 / pgbench', ratio(hundred, 'rest', 'pgbench'), 0.5, 0.7),
    floor('a3', 'ingest:100@16 / COPY', ratio(hundred, 'rest', 'COPY'), 0.2, 0.35),
    floor('a3', 'ingest:100@16 / Directus REST', ratio(hundred, 'rest', 'yardstick') / others.directusIngest100, 8),
  ];
}

function readGoals(row: Find, size: string): Judged[] {
  const list = row('list:20');
  const [rest, graphql] = [ratio(list, 'rest', 'yardstick'), ratio(list, 'graphql', 'yardstick')];
  // The limit counts what these match, the gateway keeps totals of them.
  const keptTotals = ['list_tag', 'list_unread'];
  const filtered = filteredLists.map((name) => {
    const aim = size === '1m' && keptTotals.includes(name) ? 1 : undefined;
    return floor('b3', `${name} REST / yardstick`, ratio(row(name), 'rest', 'yardstick'), 0.5, aim);
  });
  const [first, deep] = [row('messages'), row('messages_deep')];
  const pages = [first, deep].flatMap((one, index) => {
    const name = ['messages', 'messages_deep'][index]!;
    return [
      floor('c', `${name} REST / yardstick`, ratio(one, 'rest', 'yardstick'), 0.4, 0.6),
      floor('c', `${name} GraphQL / yardstick`, ratio(one, 'graphql', 'yardstick'), 0.3, 0.45),
    ];
  });
  return [
    floor('b1', 'list:20 REST / yardstick', rest, 0.4, 0.6),
    floor('b1', 'list:20 REST / Mercurius', rest / others.mercuriusList, 1),
    floor('b1', 'list:20 REST / Directus REST', rest / others.directusRestList, 5),
    floor('b2', 'list:20 GraphQL / yardstick', graphql, 0.25, 0.4),
    floor('b2', 'list:20 GraphQL / Mercurius', graphql / others.mercuriusList, 0.7, 1),
    floor('b2', 'list:20 GraphQL / PostGraphile', graphql / others.postGraphileList, undefined, 1),
    floor('b2', 'list:20 GraphQL / Directus GraphQL', graphql / others.directusGraphqlList, 4),
    ...filtered,
    ...pages,
    // Of the limit's own ratio: a page from the middle has 20 messages, the first one of a conversation of ten has 10.
    floor(
      'c',
      `messages_deep / messages REST, of the limit's ratio (rates: ${besides(deep, first)})`,
      ratio(deep, 'rest', 'yardstick') / ratio(first, 'rest', 'yardstick'),
      0.8,
    ),
    floor('c', 'messages_deep REST / Directus', ratio(deep, 'rest', 'yardstick') / others.directusDeep, undefined, 20),
  ];
}

function fanGoals(row: Find): Judged[] {
  const full = row('fan:1000');
  const rate = ratio(full, 'graphql', 'yardstick');
  const late = ['fan:100@50', 'fan:1000@20'].map((name) =>
    cap('d2', `${name} p99 / yardstick`, ratio(row(name), 'graphql', 'yardstick', 'p99Ms'), 3, 1.5),
  );
  return [
    floor('d1', 'fan:1000 / durable yardstick', rate, 0.4, 0.7),
    floor('d1', 'fan:1000 / Mercurius', rate / others.mercuriusFan, 1),
    cap('d1', 'fan:1000 CPU of the server for one delivery', middle(full, 'graphql', 'serverUs'), undefined, 15, ' us'),
    ...late,
  ];
}

function sendGoals(row: Find): Judged[] {
  const send = row('send@16');
  return [
    floor('e', 'send@16 / yardstick', ratio(send, 'rest', 'yardstick'), 0.35, 0.6),
    cap('e', 'send@16 p50 / yardstick', ratio(send, 'rest', 'yardstick', 'p50Ms'), 3, 1.7),
  ];
}

/** Absolute rates of two runs: the yardstick's own growth stands beside, as the machine may have changed meanwhile. */
function growthGoals(section: Section, small: Section): Judged[] {
  const rules: [string, number][] = [
    ['list:20', 0.8],
    ['messages', 0.8],
    ['messages_deep', 0.8],
    ['send@16', 0.8],
    ['ingest:1@16', 0.8],
    ['ingest:100@16', 0.65],
  ];
  const rowsOf = (name: string) =>
    [section, small].map(({ rows }) => rows.find((one) => one.name === name)) as [Row?, Row?];
  const absolute = (name: string, must?: number, aim?: number) => {
    const [now, before] = rowsOf(name);
    const what = `${name}: rate against 10k (yardstick: ${shownGrowth(now, before, 'yardstick')})`;
    return floor('f', what, growthOf(now, before, 'rest'), must, aim);
  };
  const filtered = filteredLists.flatMap((name) => {
    const [now, before] = rowsOf(name);
    const ofLimit = growthOf(now, before, 'rest') / growthOf(now, before, 'yardstick');
    return [
      floor('f', `${name}: rate against 10k, of the limit's ratio`, ofLimit, 0.8),
      absolute(name, undefined, 0.5),
    ];
  });
  return [...rules.map(([name, must]) => absolute(name, must)), ...filtered];
}

function besides(one: Row | undefined, other: Row | undefined): string {
  return `${shownGrowth(one, other, 'rest')}, yardstick ${shownGrowth(one, other, 'yardstick')}`;
}

type ComparedLane = 'rest' | 'yardstick';

function growthOf(one: Row | undefined, other: Row | undefined, lane: ComparedLane): number {
  return middle(one, lane) / middle(other, lane);
}

function shownGrowth(one: Row | undefined, other: Row | undefined, lane: ComparedLane): string {
  const own = growthOf(one, other, lane);
  return Number.isNaN(own) ? '-' : own.toFixed(2);
}

function startGoals({ start, rows }: Section): Judged[] {
  const afterLoad = Math.max(...rows.flatMap(({ lanes }) => [lanes.rest?.rssMb ?? 0, lanes.graphql?.rssMb ?? 0]));
  const seconds = (ms: number[] | undefined) => (ms ? spreadOf(ms).middle / 1_000 : Number.NaN);
  return [
    cap('g', 'first answer, given database', seconds(start?.givenMs), 2, 0.8, ' s'),
    cap('g', 'first answer, new embedded database', seconds(start?.embeddedMs), 6, undefined, ' s'),
    cap('g', 'RSS idle', start?.idleMb ?? Number.NaN, 150, 110, ' MB'),
    cap('g', 'RSS after load, largest', afterLoad || Number.NaN, 350, 250, ' MB'),
  ];
}

function cpuGoals(row: Find): Judged[] {
  return (['list:20', 'ingest:1@16'] as const).map((name) =>
    cap('h', `${name} CPU of the server / yardstick`, ratio(row(name), 'rest', 'yardstick', 'serverUs'), 3, 1.7),
  );
}

export type Verdict = 'aim' | 'pass' | 'MISS' | '-';

/** `aim`: even that is reached. `-`: not measured, or nothing must be reached and the aim was not. */
export function verdictOf({ value, must, aim, isFloor }: Judged): Verdict {
  if (Number.isNaN(value)) return '-';
  const reaches = (mark: number) => (isFloor ? value >= mark : value <= mark);
  if (aim !== undefined && reaches(aim) && (must === undefined || reaches(must))) return 'aim';
  if (must === undefined) return '-';
  return reaches(must) ? 'pass' : 'MISS';
}

import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type LaneFigures, type Row, ratio, ratios, type Section, type Spread, spreadOf } from './figures.ts';
import { type Judged, judge, verdictOf } from './goals.ts';
import { type Lane, operations } from './operations.ts';
import { type Size, sizes } from './options.ts';
import { projectDir } from './postgres.ts';
import { sideBySide } from './side-by-side.ts';

const file = join(projectDir, 'bench/RESULTS.md');
const keptMark = /^<!-- figures (.*) -->$/gm;

/** The sections of the report as it stands: each carries its figures. */
export function readSections(): Section[] {
  if (!existsSync(file)) return [];
  return [...readFileSync(file, 'utf8').matchAll(keptMark)].map(
    ([, json]) => JSON.parse(json!, (_key, value) => (value === null ? Number.NaN : value)) as Section,
  );
}

/** Puts what was measured into the section of its size; rows that were not measured this time stay. */
export function mergeSection(sections: Section[], fresh: Section): Section[] {
  const kept = sections.find(({ size }) => size === fresh.size);
  const rows = operations.flatMap(({ name }) => {
    const row = fresh.rows.find((one) => one.name === name) ?? kept?.rows.find((one) => one.name === name);
    return row ?? [];
  });
  const merged: Section = { ...fresh, rows, start: fresh.start ?? kept?.start };
  const order = Object.keys(sizes);
  return [...sections.filter(({ size }) => size !== fresh.size), merged].sort(
    (a, b) => order.indexOf(a.size) - order.indexOf(b.size),
  );
}

export function writeReport(sections: Section[]): void {
  const small = sections.find(({ size }) => size === '10k');
  writeFileSync(
    file,
    `${intro}${besides(sections)}\n${sections.map((section) => sectionText(section, small)).join('\n')}`,
  );
}

const intro = `# Results of the bench

Written by \`npm run bench\`; what the figures mean stands in [docs/benchmark.md](../docs/benchmark.md). A figure is a ratio
of two programs that took turns in one run: medians over the rounds, least and most in parentheses.
`;

function besides(sections: readonly Section[]): string {
  if (sections.length < 2) return '';
  const { head, lines } = sideBySide(sections);
  return `
## Side by side

The gateway's rate by the number of conversations, its ratio to the yardstick of the same run in parentheses, and what is left
of the rate of the smallest data set, of the gateway's and of the yardstick's.

${table(head, lines)}
`;
}

export function sectionText(section: Section, small: Section | undefined): string {
  const { size, on, machine, rows } = section;
  return `
## ${sizes[size as Size].toLocaleString('en')} conversations

${on}. ${machine.join('; ')}.

### Rates and times

Per second. "Yardstick" is bare Node with one statement a request (for fan-out: coalesced, then \`ws\`), "coalesced" the same
with shared transactions. p50, p99 and CPU: gateway, then yardstick.

${ratesTable(rows)}

### Ceilings

${ceilingsTable(rows)}

### Noise

Two copies of the yardstick against each other; a difference below this says nothing.

${noiseTable(rows)}

### Goals

${goalsTable(judge(section, small))}
${faultsText(rows)}
<!-- figures ${JSON.stringify(rounded(section))} -->
`;
}

// Four digits tell more than the machine can say.
function rounded(section: Section): unknown {
  return JSON.parse(
    JSON.stringify(section, (_key, value) => (typeof value === 'number' ? Number(value.toPrecision(4)) : value)),
  );
}

function table(head: string[], lines: string[][]): string {
  const line = (cells: string[]) => `| ${cells.join(' | ')} |`;
  return [line(head), line(head.map(() => '---')), ...lines.map(line)].join('\n');
}

function ratesTable(rows: Row[]): string {
  const head = ['Operation', 'Unit', 'Yardstick', 'Coalesced', 'Gateway', 'Ratio', 'p50 ms', 'p99 ms'];
  const lines = rows.flatMap((row) =>
    (['rest', 'graphql'] as const).flatMap((style) => {
      const ours = row.lanes[style];
      if (!ours) return [];
      const limit = row.lanes.yardstick;
      const label =
        row.lanes.rest && row.lanes.graphql ? `${row.name} ${style === 'rest' ? 'REST' : 'GraphQL'}` : row.name;
      return [
        [
          label,
          row.unit,
          rates(limit),
          rates(row.lanes.coalesced),
          rates(ours),
          shown(spreadOf(ratios(ours.rate, limit?.rate)), twoDigits),
          pair(ours, limit, 'p50Ms', threeDigits),
          pair(ours, limit, 'p99Ms', threeDigits),
          pair(ours, limit, 'serverUs', whole),
          pair(ours, limit, 'databaseUs', whole),
          pair(ours, limit, 'rssMb', whole),
        ],
      ];
    }),
  );
  return table([...head, 'CPU us, server', 'CPU us, PostgreSQL', 'RSS MB after'], lines);
}

function ceilingsTable(rows: Row[]): string {
  const measured = rows.filter(({ lanes }) => lanes.pgbench || lanes.COPY);
  if (measured.length === 0) {
    return '`pgbench` is not on the PATH (it comes with the `postgresql` package of Debian), so there are no ceilings here.';
  }
  const head = [
    'Operation',
    'pgbench',
    'COPY',
    'Yardstick / pgbench',
    'at least',
    'Gateway / pgbench',
    'Gateway / COPY',
  ];
  return table(
    head,
    measured.map((row) => [
      row.name,
      rates(row.lanes.pgbench),
      rates(row.lanes.COPY),
      twoDigits(ratio(row, 'yardstick', 'pgbench')),
      twoDigits(leastShareOf(row) ?? Number.NaN),
      twoDigits(ratio(row, 'rest', 'pgbench')),
      twoDigits(ratio(row, 'rest', 'COPY')),
    ]),
  );
}

function leastShareOf({ name }: Row): number | undefined {
  return operations.find((one) => one.name === name)?.leastShare;
}

/** Rows whose yardstick is too slow to be one. */
export function slowYardsticks(rows: Row[]): string[] {
  return rows.flatMap((row) => {
    const [share, least] = [ratio(row, 'yardstick', 'pgbench'), leastShareOf(row)];
    return least !== undefined && share < least
      ? [`${row.name}: the yardstick reaches ${twoDigits(share)} of pgbench, at least ${least} is needed`]
      : [];
  });
}

function noiseTable(rows: Row[]): string {
  const all = rows.map((row) => ({ name: row.name, values: ratios(row.lanes.copy?.rate, row.lanes.yardstick?.rate) }));
  const lines = all.map(({ name, values }) => [name, shown(spreadOf(values), twoDigits)]);
  const together = spreadOf(all.flatMap(({ values }) => values));
  const middles = spreadOf(all.map(({ values }) => spreadOf(values).middle));
  return table(
    ['Operation', 'Copy / yardstick'],
    [
      ...lines,
      ['all: medians', `${twoDigits(middles.least)} to ${twoDigits(middles.most)}`],
      ['all: rounds', `${twoDigits(together.least)} to ${twoDigits(together.most)}`],
    ],
  );
}

function goalsTable(judged: Judged[]): string {
  const mark = (one: Judged, value: number | undefined) =>
    value === undefined ? '' : `${one.isFloor ? '>=' : '<='} ${value}${one.unit}`;
  return table(
    ['#', 'Figure', 'Value', 'Must', 'Aim', ''],
    judged.map((one) => [
      one.goal,
      one.what,
      Number.isNaN(one.value) ? 'not measured' : `${threeDigits(one.value)}${one.unit}`,
      mark(one, one.must),
      mark(one, one.aim),
      verdictOf(one),
    ]),
  );
}

function faultsText(rows: Row[]): string {
  const faults = [
    ...rows.flatMap((row) => row.faults.map((fault) => `${row.name}: ${fault}`)),
    ...slowYardsticks(rows),
  ];
  if (faults.length === 0)
    return '\nEvery answer was right: rows, counts, order, deliveries and signatures were checked.\n';
  return `\n**Wrong:**\n\n${faults.map((fault) => `* ${fault}`).join('\n')}\n`;
}

const whole = (value: number): string => (Number.isFinite(value) ? Math.round(value).toLocaleString('en') : '-');
const twoDigits = (value: number): string => (Number.isFinite(value) ? value.toFixed(2) : '-');
const threeDigits = (value: number): string =>
  Number.isFinite(value)
    ? value >= 100
      ? Math.round(value).toLocaleString('en')
      : String(Number(value.toPrecision(3)))
    : '-';

function shown({ middle, least, most }: Spread, format: (value: number) => string): string {
  return Number.isFinite(middle) ? `${format(middle)} (${format(least)} to ${format(most)})` : '-';
}

function rates(lane: LaneFigures | undefined): string {
  return lane ? shown(spreadOf(lane.rate), whole) : '-';
}

function pair(
  ours: LaneFigures,
  limit: LaneFigures | undefined,
  figure: Exclude<keyof LaneFigures, 'rate'>,
  format: (value: number) => string,
): string {
  const of = (lane: LaneFigures | undefined) => {
    const value = lane?.[figure] ?? Number.NaN;
    return format(Array.isArray(value) ? spreadOf(value).middle : value);
  };
  return `${of(ours)} / ${of(limit)}`;
}

/** A lane's figures on one line, for the terminal. */
export function summary(row: Row): string {
  const lanes = Object.entries(row.lanes) as [Lane, LaneFigures][];
  return lanes
    .map(([lane, { rate, p50Ms, p99Ms, serverUs, databaseUs }]) => {
      const [p50, p99, server, database] = [p50Ms, p99Ms, serverUs, databaseUs].map(
        (values) => spreadOf(values).middle,
      ) as [number, number, number, number];
      const words = `${lane.padEnd(10)} ${shown(spreadOf(rate), whole)} /s`;
      return `  ${words}, p50 ${threeDigits(p50)}, p99 ${threeDigits(p99)} ms, CPU ${whole(server)} + ${whole(database)} us`;
    })
    .join('\n');
}

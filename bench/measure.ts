import { join } from 'node:path';
import { databaseFaults, sameAnswers } from './check-database.ts';
import {
  adminAccount,
  type Contestant,
  type Credentials,
  call,
  startGateway,
  startYardstick,
  type YardstickMode,
} from './contestants.ts';
import type { LoadResult, Style, Target } from './driver/protocol.ts';
import type { Driver, OnPhase } from './driver-client.ts';
import type { LaneFigures, Row } from './figures.ts';
import { prepareJourneys } from './journey-load.ts';
import { databasePrefix, type Template } from './load-data.ts';
import { fanInFlight, type Lane, type Operation, pageSize, yardstickConnections } from './operations.ts';
import type { Options, Size } from './options.ts';
import { prepareCeiling, runPgbench } from './pgbench.ts';
import { cloneDatabase, dataDir, type Server } from './postgres.ts';
import { cpuSeconds, rssMb, untilIdle } from './processes.ts';

export interface Bench {
  server: Server;
  driver: Driver;
  template: Template;
  size: Size;
  options: Options;
  hasPgbench: boolean;
  say(line: string): void;
}

/** A program in its turn. */
interface Turn {
  lane: Lane;
  contestant?: Contestant;
  style: Style;
  database: string;
  run(slice: Slice): Promise<LoadResult>;
}

interface Slice {
  seconds: number;
  /** Begins the names of what this slice makes. */
  prefix: string;
  /** Called when the load begins and when all its work is done: connecting and checking are not measured. */
  onPhase: OnPhase;
}

/** What has come together of one operation. */
interface Progress {
  since: Date;
  faults: string[];
  /** Messages that were acknowledged, by database. */
  acknowledged: Map<string, number>;
  figures: Map<Lane, LaneFigures>;
  stops: (() => unknown)[];
}

/** Not counted: compilers warm up, caches fill. */
const warmUpSeconds = 3;
/** Copies of the largest data set are few: all forms of the yardstick share one. */
const sharesFrom: Size = '1m';

/** Measures one operation: the programs take turns, round by round, and at the end the rows are counted. */
export async function measure(bench: Bench, operation: Operation): Promise<Row> {
  const { rounds, seconds } = bench.options;
  const progress: Progress = {
    since: new Date(),
    faults: [],
    acknowledged: new Map(),
    figures: new Map(),
    stops: [],
  };
  const { since, faults, figures, stops } = progress;
  try {
    const turns = await setUp(bench, operation, progress);
    for (const turn of turns) await takeTurn(bench, turns, turn, progress, { round: 0, seconds: warmUpSeconds });
    figures.clear();
    for (let round = 1; round <= rounds; round += 1) {
      for (const turn of turns) await takeTurn(bench, turns, turn, progress, { round, seconds });
      const words = turns.map(
        ({ lane }) => `${lane} ${Math.round(figures.get(lane)!.rate.at(-1)!).toLocaleString('en')}`,
      );
      bench.say(`${operation.name}  round ${round}/${rounds}  ${words.join('  ')}`);
    }
    for (const stop of stops.splice(0).reverse()) await stop();
    if (operation.writes) await countRows(bench, operation, turns, progress);
  } finally {
    for (const stop of stops.splice(0).reverse()) await stop();
  }
  for (const fault of faults) bench.say(`  WRONG  ${fault}`);
  return {
    name: operation.name,
    unit: operation.unit,
    on: since.toISOString().slice(0, 10),
    rounds,
    seconds,
    lanes: Object.fromEntries(figures),
    faults,
  };
}

async function takeTurn(
  { server }: Bench,
  turns: Turn[],
  turn: Turn,
  { acknowledged, faults, figures }: Progress,
  { round, seconds }: { round: number; seconds: number },
): Promise<void> {
  const { contestant, lane, database } = turn;
  const programs = turns.flatMap((one) => one.contestant?.pid ?? []);
  await untilIdle(() => sum(programs.map(cpuSeconds)) + (server.cpuSeconds() || 0));
  const cpu = () => [contestant ? cpuSeconds(contestant.pid) : Number.NaN, server.cpuSeconds()] as const;
  const at = { begin: cpu(), end: cpu() };
  const result = await turn.run({
    seconds,
    prefix: `${lane.slice(0, 2)}${round}${Date.now().toString(36)}`,
    onPhase: (phase) => {
      at[phase] = cpu();
    },
  });
  acknowledged.set(database, (acknowledged.get(database) ?? 0) + result.acknowledged);
  faults.push(...result.examples.map((example) => `${lane}: ${example}`));
  if (result.faults > result.examples.length) faults.push(`${lane}: ${result.faults} faults in all`);
  const all = figures.get(lane) ?? { rate: [], p50Ms: [], p99Ms: [], serverUs: [], databaseUs: [], rssMb: 0 };
  all.rate.push(result.units / result.seconds);
  all.p50Ms.push(result.p50Ms);
  all.p99Ms.push(result.p99Ms);
  all.serverUs.push(((at.end[0] - at.begin[0]) * 1e6) / result.worked);
  all.databaseUs.push(((at.end[1] - at.begin[1]) * 1e6) / result.worked);
  all.rssMb = contestant ? rssMb(contestant.pid) : Number.NaN;
  figures.set(lane, all);
}

const sum = (values: number[]): number => values.reduce((total, value) => total + value, 0);

async function countRows(bench: Bench, operation: Operation, turns: Turn[], { since, acknowledged, faults }: Progress) {
  for (const database of new Set(turns.map((turn) => turn.database))) {
    if (database.endsWith('_ceiling')) continue;
    const found = await databaseFaults({
      url: bench.server.url(database),
      data: bench.template.data,
      messages: acknowledged.get(database) ?? 0,
      areSent: operation.kind === 'send',
      since,
    });
    faults.push(...found.map((fault) => `${database}: ${fault}`));
  }
}

async function setUp(bench: Bench, operation: Operation, { stops, faults }: Progress): Promise<Turn[]> {
  const { server, driver, template, options } = bench;
  const databases = new Map<string, Promise<string>>();
  // Reads share one database, and with it the same warm pages; writers have one each.
  const databaseOf = (who: 'gateway' | 'yardstick' | 'copy' | 'coalesced' | 'ceiling'): Promise<string> => {
    const isShared = bench.size === sharesFrom && (who === 'copy' || who === 'coalesced');
    const name = `${databasePrefix}_${!operation.writes ? 'read' : isShared ? 'yardstick' : who}`;
    const known = databases.get(name) ?? cloned(name);
    databases.set(name, known);
    return known;
  };
  const cloned = async (name: string) => {
    await cloneDatabase(server, template.database, name);
    return name;
  };

  const gatewayDatabase = await databaseOf('gateway');
  const gateway = await startGateway({
    databaseUrl: server.url(gatewayDatabase),
    outbound: new URL(driver.actionUrl).host,
    ...(options.profile && { profileDir: join(dataDir, 'profiles', operation.name.replace(/\W/g, '-')) }),
  });
  stops.push(() => gateway.stop());
  const credentials = await logIn(gateway, bench);
  const targetOf = ({ port }: Contestant): Target => ({
    port,
    credentials,
    conversations: template.data.conversations,
  });

  const turns: Turn[] = [];
  const add = (lane: Lane, contestant: Contestant, style: Style, database: string) => {
    const run: Turn['run'] = ({ onPhase, ...slice }) =>
      driver.run(loadOf(bench, operation, { ...slice, target: targetOf(contestant), style }), onPhase);
    turns.push({ lane, contestant, style, database, run });
  };
  const forms: ['yardstick' | 'copy' | 'coalesced', YardstickMode][] = [
    ['yardstick', operation.kind === 'fan' ? 'coalesced' : 'single'],
    ['copy', operation.kind === 'fan' ? 'coalesced' : 'single'],
    ...(operation.coalesced ? [['coalesced', 'coalesced'] as ['coalesced', YardstickMode]] : []),
  ];
  for (const [lane, mode] of forms) {
    const database = await databaseOf(lane);
    const contestant = await startYardstick({
      databaseUrl: server.url(database),
      mode,
      connections: yardstickConnections,
      credentials,
      userName: `${adminAccount.first_name} ${adminAccount.last_name}`,
      actionUrl: driver.actionUrl,
    });
    stops.push(() => contestant.stop());
    add(lane, contestant, 'rest', database);
    if (lane === 'yardstick' && !operation.writes)
      faults.push(...(await sameAnswers(contestant, gateway, { ...credentials, matches: template.data.matches })));
  }
  for (const style of operation.styles) add(style, gateway, style, gatewayDatabase);
  if (operation.kind === 'journey') {
    const run = await prepareJourneys(gateway, server.url(gatewayDatabase), credentials);
    turns.push({ lane: 'rest', contestant: gateway, style: 'rest', database: gatewayDatabase, run });
  }
  turns.push(...(await ceilings(bench, operation, () => databaseOf('ceiling'))));
  return turns;
}

async function logIn(gateway: Contestant, { driver, template }: Bench): Promise<Credentials> {
  const { port } = gateway;
  const { sourceId, sourceToken } = template.data;
  const { email, password } = adminAccount;
  const session = await call<{ id: string; token: string }>(port, 'users.login', { email, password });
  await call(port, 'sources.update', { source_id: sourceId, action_endpoint: driver.actionUrl }, session);
  return { sourceId, sourceToken, userToken: session.token, userId: session.id };
}

function loadOf(
  bench: Bench,
  operation: Operation,
  slice: { target: Target; style: Style; seconds: number; prefix: string },
) {
  if (operation.kind === 'fan') {
    const { subscribers, rate } = operation;
    return { task: 'fan' as const, ...slice, subscribers, rate, inFlight: fanInFlight };
  }
  const { conversations, unread, matches } = bench.template.data;
  const single = { kind: 'ingest', batch: 1, filter: undefined } as const;
  const { kind, batch, filter } = operation.kind === 'journey' ? single : operation;
  const { connections } = operation;
  const totals = { conversations: conversations + 1, unread, matches };
  return { task: 'closed' as const, ...slice, kind, connections, batch, pageSize, filter, totals };
}

async function ceilings(bench: Bench, operation: Operation, database: () => Promise<string>): Promise<Turn[]> {
  if (operation.kind === 'fan' || operation.kind === 'send' || operation.kind === 'journey') return [];
  const { sourceId, conversations } = bench.template.data;
  const turns: Turn[] = [];
  if (bench.hasPgbench) {
    const name = await database();
    const ceiling = { databaseUrl: bench.server.url(name), sourceName: sourceId, conversations };
    await prepareCeiling(ceiling);
    const run: Turn['run'] = async ({ seconds, onPhase }) => {
      onPhase('begin');
      const rate = (await runPgbench(operation, ceiling, seconds)) * operation.batch;
      onPhase('end');
      const nothing = { p50Ms: Number.NaN, p99Ms: Number.NaN, acknowledged: 0, faults: 0, examples: [] };
      return { units: rate * seconds, worked: rate * seconds, seconds, ...nothing };
    };
    turns.push({ lane: 'pgbench', style: 'rest', database: name, run });
  }
  if (operation.copies) {
    const name = await database();
    const databaseUrl = bench.server.url(name);
    const run: Turn['run'] = ({ onPhase, ...slice }) =>
      bench.driver.run({ task: 'copy', databaseUrl, conversations, batch: operation.batch, ...slice }, onPhase);
    turns.push({ lane: 'COPY', style: 'rest', database: name, run });
  }
  return turns;
}

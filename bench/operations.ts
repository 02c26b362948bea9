import type { LoadKind, Style } from './driver/protocol.ts';
import type { FilterName } from './filters.ts';

/** Programs that take turns within a round. The gateway has one turn for each style. */
export type Lane = 'yardstick' | 'copy' | 'coalesced' | 'rest' | 'graphql' | 'pgbench' | 'COPY';

interface Common {
  name: string;
  /** What the rate counts. */
  unit: string;
  /** Changes rows: each program gets a database of its own, new for this operation. */
  writes: boolean;
  styles: Style[];
  /** Also measured in the yardstick's coalesced form. */
  coalesced: boolean;
  /** The yardstick must reach this share of pgbench with the same SQL, or the bench fails. */
  leastShare?: number;
}

export interface ClosedOperation extends Common {
  kind: LoadKind;
  connections: number;
  batch: number;
  /** Of a list. */
  filter?: FilterName;
  /** Also measured as COPY into the same table. */
  copies: boolean;
}

export interface FanOperation extends Common {
  kind: 'fan';
  subscribers: number;
  rate: number | undefined;
}

/** The yardstick stores single messages meanwhile: a step of a journey against an insert. */
export interface JourneyOperation extends Common {
  kind: 'journey';
  connections: number;
}

export type Operation = ClosedOperation | FanOperation | JourneyOperation;

export const pageSize = 20;
/** Database connections of the yardstick and of pgbench. */
export const yardstickConnections = 16;
/** Webhook requests of a fan-out that may wait for their answer. */
export const fanInFlight = 32;

/** Reads come first: they leave the database as it is. */
export const operations: Operation[] = [
  { ...read('list:20', 'list'), leastShare: 0.4 },
  { ...read('list_name', 'list'), filter: 'name', leastShare: 0.3 },
  { ...read('list_tag', 'list'), filter: 'tag', leastShare: 0.5 },
  { ...read('list_unread', 'list'), filter: 'unread', leastShare: 0.3 },
  // The goals say 0.6, of a statement that pgbench ran 17,000 times a second. It runs this one 28,700 times, and Node answers as
  // many requests as then: of the time of a request the database takes a third now, the rest is HTTP.
  { ...read('messages', 'messages'), leastShare: 0.35 },
  read('messages_deep', 'messages_deep'),
  ingest('ingest:1@16', 1, 16, 0.3),
  ingest('ingest:1@64', 1, 64),
  ingest('ingest:10@16', 10, 16, 0.8),
  { ...ingest('ingest:100@16', 100, 16, 0.8), copies: true },
  {
    name: 'send@16',
    kind: 'send',
    unit: 'sent message',
    writes: true,
    styles: ['rest'],
    coalesced: false,
    connections: 16,
    batch: 1,
    copies: false,
  },
  {
    name: 'journey',
    kind: 'journey',
    unit: 'step',
    writes: true,
    styles: [],
    coalesced: false,
    connections: 16,
  },
  fan('fan:100@50', 100, 50),
  fan('fan:1000@20', 1_000, 20),
  fan('fan:1000', 1_000, undefined),
];

function read(name: string, kind: LoadKind): ClosedOperation {
  const styles: Style[] = ['rest', 'graphql'];
  return {
    name,
    kind,
    unit: 'request',
    writes: false,
    styles,
    coalesced: false,
    connections: 16,
    batch: 1,
    copies: false,
  };
}

function ingest(name: string, batch: number, connections: number, leastShare?: number): ClosedOperation {
  return {
    name,
    kind: 'ingest',
    unit: 'durable message',
    writes: true,
    styles: ['rest'],
    coalesced: true,
    connections,
    batch,
    copies: false,
    ...(leastShare !== undefined && { leastShare }),
  };
}

function fan(name: string, subscribers: number, rate: number | undefined): FanOperation {
  return {
    name,
    kind: 'fan',
    unit: 'delivery',
    writes: true,
    styles: ['graphql'],
    coalesced: false,
    subscribers,
    rate,
  };
}

/** Those whose name is given, or begins so where none is called exactly so. @throws Error naming all where there is none such */
export function chosenOperations(only: string[]): Operation[] {
  if (only.length === 0) return operations;
  const chosen = new Set(only.flatMap(named));
  return operations.filter((one) => chosen.has(one));
}

function named(wanted: string): Operation[] {
  const exact = operations.filter(({ name }) => name === wanted);
  const found = exact.length > 0 ? exact : operations.filter(({ name }) => name.startsWith(wanted));
  if (found.length > 0) return found;
  throw new Error(`--only ${wanted}: the operations are ${operations.map(({ name }) => name).join(', ')}`);
}

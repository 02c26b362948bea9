import type { Credentials } from '../contestants.ts';
import type { FilterName } from '../filters.ts';
import type { Matches } from '../load-data.ts';

/** What the bench asks of the driver's process, and what it gets. */

export type Style = 'rest' | 'graphql';
export type LoadKind = 'ingest' | 'list' | 'messages' | 'messages_deep' | 'send';

/** The server under load and what is in its database. */
export interface Target {
  port: number;
  credentials: Credentials;
  conversations: number;
}

export interface ClosedLoad {
  task: 'closed';
  kind: LoadKind;
  style: Style;
  target: Target;
  connections: number;
  seconds: number;
  /** Messages of one request. */
  batch: number;
  pageSize: number;
  /** Of a list. */
  filter: FilterName | undefined;
  /** Begins the names of all that this slice makes. */
  prefix: string;
  /** Exact, as long as nothing writes. */
  totals: { conversations: number; unread: number; matches: Matches };
}

export interface FanLoad {
  task: 'fan';
  target: Target;
  subscribers: number;
  /** Messages a second; undefined: as many as are delivered. */
  rate: number | undefined;
  inFlight: number;
  seconds: number;
  prefix: string;
}

/** The seconds of a COPY of rows into the message table. */
export interface CopyLoad {
  task: 'copy';
  databaseUrl: string;
  conversations: number;
  /** Rows of one transaction. */
  batch: number;
  seconds: number;
  prefix: string;
}

export type Load = ClosedLoad | FanLoad | CopyLoad;

export interface LoadResult {
  /** Done within the time: messages, requests or deliveries. */
  units: number;
  seconds: number;
  p50Ms: number;
  p99Ms: number;
  /** The same with what was on its way when the time was over: what the CPU time was spent on. */
  worked: number;
  /** Messages that were acknowledged and must be in the database now. */
  acknowledged: number;
  /** What did not answer right; the first of them in words. */
  faults: number;
  examples: string[];
}

/** The load begins, connections are open; and: all its work is done. */
export type Phase = 'begin' | 'end';

export type DriverMessage =
  | { ready: true; actionUrl: string }
  | { id: number; phase: Phase }
  | { id: number; result: LoadResult }
  | { id: number; error: string };

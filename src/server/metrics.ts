import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from 'prom-client';
import type { Meter } from '../domain/meter.ts';
import type { Vitals } from './vitals.ts';
import type { SocketCounts } from './websocket.ts';

/** The figures of a process in the text format of Prometheus. */
export interface Metrics {
  /** What the domain and the graph report to. */
  meter: Meter;
  /** `route` is the pattern of the route; undefined where none was found. */
  answered(route: string | undefined, status: number, durationMs: number): void;
  /** Reads what is not counted, and writes all of it. Without the database it tells what the process knows by itself. */
  read(vitals: Vitals, sockets: SocketCounts | undefined): Promise<Figures>;
}

export interface Figures {
  contentType: string;
  text: string;
}

/** What graphql_errors_total may name: the codes of errors.ts and of the protocol. */
const errorCodes = new Set([
  'BAD_USER_INPUT',
  'UNAUTHENTICATED',
  'FORBIDDEN',
  'NOT_FOUND',
  'CONFLICT',
  'RATE_LIMITED',
  'TOO_LARGE',
  'QUERY_TOO_COMPLEX',
  'IDEMPOTENCY_MISMATCH',
  'DOWNSTREAM_FAILED',
  'UNAVAILABLE',
  'INTERNAL_SERVER_ERROR',
  'BAD_REQUEST',
  'GRAPHQL_PARSE_FAILED',
  'GRAPHQL_VALIDATION_FAILED',
  'OPERATION_RESOLUTION_FAILURE',
  'PERSISTED_QUERY_NOT_FOUND',
]);
/** Sources that are named; administrators make them, but nothing else keeps them few. */
const mostSources = 500;
const seconds = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10];

// CPU, memory, garbage and the lag of the event loop belong to the process, whoever serves in it. Watched from the first
// scrape on: who is never asked pays nothing.
let ofProcess: Registry | undefined;

function processFigures(): Registry {
  if (!ofProcess) {
    ofProcess = new Registry();
    collectDefaultMetrics({ register: ofProcess, prefix: 'parley_' });
  }
  return ofProcess;
}

/** @see stack.md, "Operations", for the names and labels */
export function createMetrics(): Metrics {
  const registers = [new Registry()];
  const registry = registers[0]!;
  const gauge = (name: string, help: string) => new Gauge({ name: `parley_${name}`, help, registers });
  const counter = <Label extends string>(name: string, help: string, labelNames: Label[]) =>
    new Counter({ name: `parley_${name}`, help, labelNames, registers });
  const durations = <Label extends string>(name: string, help: string, labelNames: Label[]) =>
    new Histogram({ name: `parley_${name}`, help, labelNames, buckets: seconds, registers });

  const requests = durations('http_request_duration_seconds', 'From the headers to the end of the answer.', [
    'route',
    'status',
  ]);
  const operations = durations('graphql_operation_duration_seconds', 'Executions, those of REST calls too.', [
    'operation',
  ]);
  const errors = counter('graphql_errors_total', 'Errors told to callers of operations.', ['code']);
  const ingested = counter('ingest_messages_total', 'Messages of sources.', ['result']);
  const deliveries = counter('deliveries_total', 'Attempts to deliver a message.', ['source', 'result']);
  const eventsDelivered = counter('events_delivered_total', 'Results of subscriptions handed to sockets.', []);
  const socketsOpen = gauge('sockets_open', 'Open WebSockets.');
  const eventLag = gauge('event_lag_seconds', 'Age of the oldest event not yet released by the feed.');
  const jobsWaiting = gauge('jobs_waiting', 'Lanes that are due and that nobody works on, in all processes.');
  const oldestJob = gauge('job_oldest_age_seconds', 'How long the oldest of them has been due.');
  const poolInUse = gauge('db_pool_in_use', 'Database connections at work.');
  const poolWaiting = gauge('db_pool_waiting', 'Those who wait for one.');
  const poolSize = gauge('db_pool_size', 'The most there may be.');
  const passwordQueue = gauge('password_hashes_waiting', 'Sign-ins that wait for their turn at the password hash.');

  const sources = new Set<string>();
  const sourceLabel = (sourceId: string) => {
    if (sources.size < mostSources) sources.add(sourceId);
    return sources.has(sourceId) ? sourceId : 'other';
  };
  let deliveredBefore = 0;

  return {
    meter: {
      ingested: (outcome, messages) => ingested.inc({ result: outcome }, messages),
      delivered: (sourceId, outcome) => deliveries.inc({ source: sourceLabel(sourceId), result: outcome }),
      ranOperation: (operation, durationMs) => operations.observe({ operation }, durationMs / 1000),
      failed: (code) => errors.inc({ code: errorCodes.has(code) ? code : 'other' }),
    },
    answered: (route, status, durationMs) => requests.observe({ route: route ?? 'none', status }, durationMs / 1000),
    async read(vitals, sockets) {
      const backlog = await vitals.backlog();
      setOrLeaveOut(jobsWaiting, backlog?.jobsWaiting);
      setOrLeaveOut(oldestJob, backlog?.oldestJobSeconds);
      // Only who serves subscriptions has a feed.
      setOrLeaveOut(eventLag, sockets && backlog?.eventLagSeconds);
      setOrLeaveOut(socketsOpen, sockets?.open);
      eventsDelivered.inc((sockets?.delivered ?? 0) - deliveredBefore);
      deliveredBefore = sockets?.delivered ?? 0;
      const pool = vitals.connections();
      poolInUse.set(pool.inUse);
      poolWaiting.set(pool.waiting);
      poolSize.set(pool.most);
      passwordQueue.set(vitals.passwordQueue());
      const text = `${await registry.metrics()}\n${await processFigures().metrics()}`;
      return { contentType: registry.contentType, text };
    },
  };
}

// What is not known is not there: a 0 would look like good news.
function setOrLeaveOut(gauge: Gauge, value: number | undefined): void {
  if (value === undefined) gauge.remove();
  else gauge.set(value);
}

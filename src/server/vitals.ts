import type { Backlog } from '../domain/backlog.ts';
import type { Core } from '../graphql/execute.ts';

/** What the pool of database connections does at the moment. */
export interface PoolState {
  inUse: number;
  open: number;
  waiting: number;
  most: number;
  /** Of those who wait, how long the first one has. */
  longestWaitMs: number;
}

/** How the process is, for /metrics and /health/ready. */
export interface Vitals {
  connections(): PoolState;
  /** Undefined when the database does not say in time. */
  backlog(): Promise<Backlog | undefined>;
  passwordQueue(): number;
  /** The longest time of the last minute in which nothing else could run. */
  longestLagMs(): number;
  stop(): void;
}

export interface VitalsParts {
  log: Core['log'];
  connections(): PoolState;
  readBacklog(): Promise<Backlog>;
  passwordQueue(): number;
}

/** One look at the database answers everybody who asks within this time. */
const backlogKeptMs = 1_000;
const backlogPatienceMs = 2_500;
/** The watch is a timer: how late it is tells for how long nothing else could run. */
const watch = {
  eachMs: 50,
  keptFromMs: 20,
  keptMs: 60_000,
  lagMs: 500,
  poolWaitMs: 1_000,
  warnEachMs: 60_000,
} as const;

/**
 * Watches the event loop and the pool: one warning a minute where the loop stood still for over 500 ms, or somebody has
 * waited for a connection for over a second.
 */
export function watchVitals({ log, connections, readBacklog, passwordQueue }: VitalsParts): Vitals {
  let lookedAt = performance.now();
  let lags: { at: number; ms: number }[] = [];
  const warnLag = oncePer(watch.warnEachMs, (ms: number) =>
    log.warn({ ms: Math.round(ms) }, 'the event loop stood still: nothing else could run meanwhile'),
  );
  const warnPool = oncePer(watch.warnEachMs, ({ longestWaitMs, ...state }: PoolState) =>
    log.warn({ ms: Math.round(longestWaitMs), ...state }, 'the wait for a database connection is long'),
  );
  const look = () => {
    const now = performance.now();
    const ms = now - lookedAt - watch.eachMs;
    lookedAt = now;
    lags = lags.filter(({ at }) => at > now - watch.keptMs);
    // Of a calm time nothing need be kept.
    if (ms > watch.keptFromMs) lags.push({ at: now, ms });
    if (ms > watch.lagMs) warnLag(ms);
    const pool = connections();
    if (pool.longestWaitMs > watch.poolWaitMs) warnPool(pool);
  };
  const timer = setInterval(look, watch.eachMs).unref();

  let looked: { at: number; backlog: Promise<Backlog | undefined> } | undefined;
  return {
    connections,
    passwordQueue,
    backlog() {
      if (!looked || performance.now() - looked.at > backlogKeptMs)
        looked = { at: performance.now(), backlog: inTime(readBacklog()) };
      return looked.backlog;
    },
    longestLagMs: () => Math.round(Math.max(0, ...lags.map(({ ms }) => ms))),
    stop: () => clearInterval(timer),
  };
}

function oncePer<Told>(ms: number, tell: (told: Told) => void): (told: Told) => void {
  let toldAt = Number.NEGATIVE_INFINITY;
  return (told) => {
    if (performance.now() - toldAt < ms) return;
    toldAt = performance.now();
    tell(told);
  };
}

function inTime<T>(answer: Promise<T>): Promise<T | undefined> {
  return new Promise((resolve) => {
    const timer = setTimeout(() => resolve(undefined), backlogPatienceMs);
    answer.then(resolve, () => resolve(undefined)).finally(() => clearTimeout(timer));
  });
}

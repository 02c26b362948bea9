import type { Principal } from '../domain/context.ts';
import type { EventPosition } from '../domain/events.ts';

/** One result, stringified once and shared by all subscribers of its group. */
export interface PreparedResult {
  json: string;
  /** What it took in characters, where that is more than what came of it. */
  took?: number;
}

/**
 * How far a subscriber may fall behind what happens before its socket is closed; it comes back with its cursor.
 * `stallMs`: how long it may take nothing of the past that waits for it.
 */
export const subscriberLimits = { events: 1_000, bytes: 4 * 1024 * 1024, stallMs: 15_000 } as const;
/** What of the past may wait for a client before the replay waits for it. */
const pastLimits = { events: 100, bytes: 1024 * 1024 } as const;

export interface SubscriberHooks {
  /** It listens no longer. Called once. */
  onEnd(subscriber: Subscriber): void;
  /** It fell too far behind. */
  onOverflow(): void;
}

/**
 * One subscription of one socket: an iterator with its own `return`, as an async generator that waits would leave its
 * listener behind until the next event. Idle ones hold no queue.
 */
export class Subscriber implements AsyncIterableIterator<PreparedResult, undefined> {
  readonly principal: Principal;
  /** Events up to here are given, or lie before the subscription. */
  from: EventPosition;
  readonly #hooks: SubscriberHooks;
  #queue: PreparedResult[] | undefined;
  #head = 0;
  #bytes = 0;
  #taken = 0;
  // While the past is replayed, what happens meanwhile waits here.
  #held: PreparedResult[] | undefined;
  #heldBytes = 0;
  #waiting: ((result: IteratorResult<PreparedResult, undefined> | Promise<never>) => void) | undefined;
  #drained: (() => void) | undefined;
  #failure: { error: unknown } | undefined;
  #ended = false;

  constructor(principal: Principal, from: EventPosition, hooks: SubscriberHooks) {
    this.principal = principal;
    this.from = from;
    this.#hooks = hooks;
  }

  get ended(): boolean {
    return this.#ended;
  }

  /** Enough of the past waits for the client: `drained` comes before more of it. */
  get hasEnough(): boolean {
    return this.backlog >= pastLimits.events || this.#bytes >= pastLimits.bytes;
  }

  /** Results that wait for the client. */
  get backlog(): number {
    return this.#queue ? this.#queue.length - this.#head : 0;
  }

  /** From now on `push` keeps its results back until `release`; the past goes through `pushPast`. */
  hold(): void {
    this.#held = [];
  }

  release(): void {
    const held = this.#held ?? [];
    this.#held = undefined;
    this.#heldBytes = 0;
    for (const result of held) this.push(result);
  }

  push(result: PreparedResult): void {
    if (this.#ended) return;
    if (this.#held) {
      this.#held.push(result);
      this.#heldBytes += result.json.length;
    } else this.pushPast(result);
    this.#checkBounds();
  }

  /** Without a bound: who replays the past looks at `hasEnough`. */
  pushPast(result: PreparedResult): void {
    if (this.#ended) return;
    const waiting = this.#waiting;
    if (waiting) {
      this.#waiting = undefined;
      waiting({ value: result, done: false });
      return;
    }
    this.#queue ??= [];
    this.#queue.push(result);
    this.#bytes += result.json.length;
  }

  /** Resolves when the client has taken everything, or left; one that takes nothing for `stallMs` is given up. */
  drained(stallMs: number = subscriberLimits.stallMs): Promise<void> {
    if (this.#ended || this.backlog === 0) return Promise.resolve();
    return new Promise((resolve) => {
      let taken = this.#taken;
      const watch = setInterval(() => {
        if (this.#taken === taken) this.overflow();
        taken = this.#taken;
      }, stallMs).unref();
      this.#drained = () => {
        clearInterval(watch);
        resolve();
      };
    });
  }

  next(): Promise<IteratorResult<PreparedResult, undefined>> {
    const result = this.#queue?.[this.#head];
    if (result) {
      this.#take(result);
      return Promise.resolve({ value: result, done: false });
    }
    if (this.#failure) {
      const { error } = this.#failure;
      this.#failure = undefined;
      return Promise.reject(error);
    }
    if (this.#ended) return Promise.resolve({ value: undefined, done: true });
    return new Promise((resolve) => {
      this.#waiting = resolve;
    });
  }

  return(): Promise<IteratorResult<PreparedResult, undefined>> {
    this.#end();
    return Promise.resolve({ value: undefined, done: true });
  }

  /** Ends the subscription with an error for its client, after what waits has been taken. */
  fail(error: unknown): void {
    if (this.#ended) return;
    const queue = this.#queue;
    const head = this.#head;
    const waiting = this.#waiting;
    this.#waiting = undefined;
    this.#end();
    if (waiting) {
      waiting(Promise.reject(error));
      return;
    }
    this.#failure = { error };
    this.#queue = queue;
    this.#head = head;
  }

  /** Ends the subscription and its socket: the client is to come back with its cursor. */
  overflow(): void {
    if (this.#ended) return;
    this.#end();
    this.#hooks.onOverflow();
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  #take(result: PreparedResult): void {
    this.#head += 1;
    this.#taken += 1;
    this.#bytes -= result.json.length;
    if (this.#head < this.#queue!.length) {
      // Cut off what was taken now and then: shifting each time moves the whole rest.
      if (this.#head >= 256) {
        this.#queue!.splice(0, this.#head);
        this.#head = 0;
      }
      return;
    }
    this.#queue = undefined;
    this.#head = 0;
    this.#drained?.();
    this.#drained = undefined;
  }

  // The past has its own brakes: `hasEnough`, and `drained` with its patience.
  #checkBounds(): void {
    const [events, bytes] = this.#held ? [this.#held.length, this.#heldBytes] : [this.backlog, this.#bytes];
    if (events > subscriberLimits.events || bytes > subscriberLimits.bytes) this.overflow();
  }

  #end(): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#queue = undefined;
    this.#held = undefined;
    this.#head = 0;
    this.#bytes = 0;
    this.#waiting?.({ value: undefined, done: true });
    this.#waiting = undefined;
    this.#drained?.();
    this.#drained = undefined;
    this.#hooks.onEnd(this);
  }
}

import type { Core } from './context.ts';
import {
  comparePositions,
  type EventPosition,
  hasUnsafeEvents,
  type LoggedEvent,
  readEventLog,
  readEvents,
} from './events.ts';

/** Who hears of events. Both are called in order and must not throw. */
export interface FeedListener {
  /** Events in the order of the log, none left out, none twice. */
  events(batch: readonly LoggedEvent[]): void;
  /** Events may have been missed: the feed goes on from `position` of the log `epoch`. */
  reset(reason: string): void;
}

/** The process' one reader of the event log. */
export interface EventFeed {
  /** Everything up to here has been handed out. */
  readonly position: EventPosition;
  /** Which log this is. */
  readonly epoch: string;
  /** @returns a function that ends the listening */
  listen(listener: FeedListener): () => void;
  stop(): Promise<void>;
}

/** The most events of one read. */
export const feedBatch = 1_000;
/** Committed events wait for older transactions: look again after this. */
const lookAgainMs = 10;
/** A hint may be lost: look by itself this often. */
const pollMs = 1_000;

/**
 * Starts the feed at the present end of the log. It wakes on the hint of a commit, looks again after 10 ms while
 * committed events wait for older transactions, and polls each second. While the database is away it keeps its
 * position and goes on from there.
 *
 * @see lanes-and-events, section 5
 */
export async function startEventFeed(core: Core): Promise<EventFeed> {
  const log = await readEventLog(core);
  const feed = new Feed(core, log.epoch, log.now);
  feed.start();
  return feed;
}

class Feed implements EventFeed {
  position: EventPosition;
  epoch: string;
  readonly #core: Core;
  readonly #listeners = new Set<FeedListener>();
  #stopped = false;
  #isDown = false;
  #hinted = false;
  #wake: (() => void) | undefined;
  #endHints: () => void = () => {};
  #running: Promise<void> = Promise.resolve();
  #checkedAt = 0;
  // Where the feed stood at the last look at the log's own row.
  #checkedPosition: EventPosition;

  constructor(core: Core, epoch: string, position: EventPosition) {
    this.#core = core;
    this.epoch = epoch;
    this.position = position;
    this.#checkedPosition = position;
  }

  start(): void {
    this.#endHints = this.#core.wakeups.onHint('event', () => {
      this.#hinted = true;
      this.#wake?.();
    });
    this.#running = this.#run();
  }

  listen(listener: FeedListener): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    this.#endHints();
    this.#wake?.();
    await this.#running;
  }

  async #run(): Promise<void> {
    while (!this.#stopped) {
      let waitMs = pollMs;
      this.#hinted = false;
      try {
        waitMs = await this.#look();
        if (this.#isDown) this.#core.log.info('the event feed reads again');
        this.#isDown = false;
      } catch (error) {
        if (!this.#isDown && !this.#stopped)
          this.#core.log.warn({ err: error }, 'the event feed cannot read, it keeps its position');
        this.#isDown = true;
      }
      if (waitMs > 0) await this.#sleep(waitMs);
    }
  }

  /** One look at the log. @returns how long to wait before the next, at most */
  async #look(): Promise<number> {
    if (performance.now() - this.#checkedAt >= pollMs) await this.#checkLog();
    const batch = await readEvents(this.#core, this.position, feedBatch);
    const last = batch.at(-1);
    if (last && !this.#stopped) {
      this.position = last.position;
      for (const listener of this.#listeners) listener.events(batch);
    }
    if (batch.length === feedBatch) return 0;
    // More may follow at once: whether something waits is asked when nothing came.
    if (batch.length > 0) return lookAgainMs;
    return (await hasUnsafeEvents(this.#core, this.position)) ? lookAgainMs : pollMs;
  }

  // A process that was stopped for longer than the retention, or whose database was replaced by a copy, would
  // otherwise leave events out without a word. What was read before the last check cannot have been missed.
  async #checkLog(): Promise<void> {
    const log = await readEventLog(this.#core);
    this.#checkedAt = performance.now();
    const reason =
      log.epoch !== this.epoch || this.position.txid > log.newestTxid
        ? 'the event log was replaced'
        : comparePositions(log.trimmed, this.#checkedPosition) > 0
          ? 'events were removed before they were read'
          : undefined;
    if (reason && !this.#stopped) {
      this.#core.log.warn({ reason }, 'the event feed begins again');
      this.epoch = log.epoch;
      this.position = log.now;
      for (const listener of this.#listeners) listener.reset(reason);
    }
    this.#checkedPosition = this.position;
  }

  #sleep(ms: number): Promise<void> {
    if (this.#hinted || this.#stopped) return Promise.resolve();
    return new Promise((resolve) => {
      const timer = setTimeout(done, ms);
      const self = this;
      function done() {
        clearTimeout(timer);
        self.#wake = undefined;
        resolve();
      }
      this.#wake = done;
    });
  }
}

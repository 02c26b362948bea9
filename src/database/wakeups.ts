import { randomBytes } from 'node:crypto';
import pg from 'pg';
import type { Core, Wakeups, WakeupTopic } from '../domain/context.ts';
import { connectionOptions } from './connection.ts';

export interface OpenWakeups {
  url: string;
  log: Pick<Core['log'], 'warn' | 'error'>;
}

export interface DatabaseWakeups extends Wakeups {
  close(): Promise<void>;
}

const topics: WakeupTopic[] = ['event', 'lane'];
/** At most one NOTIFY, and one call of the listeners here, in this time: a burst of commits is one hint. */
const hintEachMs = 3;
const firstRetryMs = 100;
/** With the 2 s of a try that hears nothing, hints are back 5 s after the database. */
const lastRetryMs = 2_000;

/**
 * Hints over LISTEN and NOTIFY, on one connection of its own. Listeners of this process are called directly, without
 * the way through the database. While the connection is lost hints go to this process only; when it is back all
 * listeners are called once, since others' hints may have been missed.
 *
 * Resolves when the first attempt to connect has ended, whether it went well or not.
 */
export async function openWakeups(options: OpenWakeups): Promise<DatabaseWakeups> {
  const wakeups = new NotifyWakeups(options);
  await wakeups.connect();
  return wakeups;
}

class NotifyWakeups implements DatabaseWakeups {
  readonly #url: string;
  readonly #log: OpenWakeups['log'];
  /** Marks our own notifications, which come back to us too. */
  readonly #self = randomBytes(6).toString('base64url');
  readonly #listeners = new Map<WakeupTopic, Set<() => void>>(topics.map((topic) => [topic, new Set()]));
  readonly #told = new Map<WakeupTopic, 'once' | 'again'>();
  readonly #toNotify = new Set<WakeupTopic>();
  #isNotifying = false;
  #client: pg.Client | undefined;
  #retry: NodeJS.Timeout | undefined;
  #retryMs = firstRetryMs;
  #isClosed = false;

  constructor({ url, log }: OpenWakeups) {
    this.#url = url;
    this.#log = log;
  }

  hint(topic: WakeupTopic): void {
    this.#tell(topic);
    this.#toNotify.add(topic);
    this.#notify();
  }

  onHint(topic: WakeupTopic, listener: () => void): () => void {
    // Wrapped, so that one function may listen twice and stop once.
    const entry = () => listener();
    this.#listeners.get(topic)?.add(entry);
    return () => this.#listeners.get(topic)?.delete(entry);
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    clearTimeout(this.#retry);
    for (const listeners of this.#listeners.values()) listeners.clear();
    const client = this.#client;
    this.#client = undefined;
    await client?.end().catch(() => undefined);
  }

  async connect(): Promise<void> {
    const client = new pg.Client({
      ...connectionOptions(this.#url),
      connectionTimeoutMillis: 2_000,
      query_timeout: 5_000,
    });
    client.on('error', (error) => this.#lost(client, error));
    client.on('end', () => this.#lost(client));
    client.on('notification', ({ channel, payload }) => {
      const topic = topics.find((one) => channelOf(one) === channel);
      if (topic && payload !== this.#self) this.#tell(topic);
    });
    this.#client = client;
    try {
      await client.connect();
      await client.query(topics.map((topic) => `listen ${channelOf(topic)}`).join('; '));
    } catch (error) {
      this.#lost(client, error as Error);
      return;
    }
    this.#retryMs = firstRetryMs;
    for (const topic of topics) this.#tell(topic);
  }

  #lost(client: pg.Client, error?: Error): void {
    if (this.#client !== client || this.#isClosed) return;
    this.#client = undefined;
    this.#log.warn({ err: error, retryInMs: this.#retryMs }, 'no hints from other processes: connection lost');
    client.end().catch(() => undefined);
    this.#retry = setTimeout(() => void this.connect(), this.#retryMs * (0.75 + Math.random() / 2));
    this.#retry.unref();
    this.#retryMs = Math.min(lastRetryMs, this.#retryMs * 2);
  }

  /** Calls the listeners of this process soon: for the first hint, and once for all of the next 3 ms. */
  #tell(topic: WakeupTopic): void {
    if (this.#told.has(topic)) {
      this.#told.set(topic, 'again');
      return;
    }
    this.#told.set(topic, 'once');
    setImmediate(() => this.#call(topic));
    setTimeout(() => {
      const isAgain = this.#told.get(topic) === 'again';
      this.#told.delete(topic);
      if (isAgain) this.#tell(topic);
    }, hintEachMs);
  }

  #call(topic: WakeupTopic): void {
    for (const listener of this.#listeners.get(topic) ?? []) {
      try {
        listener();
      } catch (error) {
        this.#log.error({ err: error, topic }, 'listener of hints failed');
      }
    }
  }

  /** The hints of one turn go out at once; those of the next 3 ms, or while it is under way, follow as one. */
  #notify(): void {
    if (this.#isNotifying) return;
    this.#isNotifying = true;
    setImmediate(() => void this.#sendHints());
  }

  async #sendHints(): Promise<void> {
    const channels = [...this.#toNotify].map(channelOf);
    this.#toNotify.clear();
    const client = this.#client;
    if (client) {
      const pause = new Promise((resolve) => setTimeout(resolve, hintEachMs));
      await client
        .query('select pg_notify(channel, $2) from unnest($1::text[]) channel', [channels, this.#self])
        .catch((error: Error) => this.#lost(client, error));
      await pause;
    }
    this.#isNotifying = false;
    if (this.#toNotify.size > 0 && !this.#isClosed) this.#notify();
  }
}

function channelOf(topic: WakeupTopic): string {
  return `parley_${topic}`;
}

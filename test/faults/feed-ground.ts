import { randomUUID } from 'node:crypto';
import pg from 'pg';
import { type Core, systemCtx } from '../../src/domain/context.ts';
import { type EventFeed, startEventFeed } from '../../src/domain/event-feed.ts';
import { appendEvents, comparePositions, type LoggedEvent, lockConversations } from '../../src/domain/events.ts';
import { type Tx, transaction } from '../../src/domain/transaction.ts';
import { until } from '../support/until.ts';

/** An event by which a test knows its own: the `n`th of a conversation. */
export const numbered = (conversationId: string, n: number) =>
  ({ kind: 'message.updated', conversationId, payload: { messageId: String(n) } }) as const;

export const numberOf = (event: LoggedEvent): number => Number('messageId' in event.payload && event.payload.messageId);

/** A feed of its own, and all that it told. */
export class HeardFeed {
  readonly events: LoggedEvent[] = [];
  readonly resets: string[] = [];
  readonly #feed: EventFeed;

  private constructor(feed: EventFeed) {
    this.#feed = feed;
    feed.listen({ events: (batch) => this.events.push(...batch), reset: (reason) => this.resets.push(reason) });
  }

  static async start(core: Core): Promise<HeardFeed> {
    return new HeardFeed(await startEventFeed(core));
  }

  get position() {
    return this.#feed.position;
  }

  /** Waits for so many events of these conversations. */
  async of(conversations: string[], count: number): Promise<LoggedEvent[]> {
    const wanted = new Set(conversations);
    const found = () => this.events.filter(({ conversationId }) => wanted.has(conversationId ?? ''));
    await until(async () => found().length >= count);
    return found();
  }

  stop(): Promise<void> {
    return this.#feed.stop();
  }
}

/** A connection outside the gateway's pool, without its timeouts. */
export async function onConnection<T>(url: string, work: (client: pg.Client) => Promise<T>): Promise<T> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  try {
    return await work(client);
  } finally {
    await client.end();
  }
}

export interface WritersForm {
  writers: number;
  /** Of each writer. */
  transactions: number;
  conversations: number;
  /** The longest pause inside a transaction. */
  pauseMs: number;
  /** Part of the transactions that are rolled back. */
  rollbacks: number;
}

export interface WritersResult {
  committed: number;
  skipped: number;
  doubled: number;
  /** Events that the feed told below one that it had told before. */
  inverted: number;
  /** Conversations told in another order than that of their locks. */
  reordered: number;
  /** From the writer's answer to the feed's row, ms; negative: the feed was first. */
  p50Ms: number;
  p99Ms: number;
}

class RolledBack extends Error {}

/** Transactions side by side, with pauses before and between their events, against one feed. */
export async function writeSideBySide(core: Core, form: WritersForm): Promise<WritersResult> {
  const feed = await HeardFeed.start(core);
  const conversations = Array.from({ length: form.conversations }, () => randomUUID());
  // Drawn under the conversation's lock, so it stands for the order of the locks.
  const drawn = new Map<string, number>();
  const committedAt = new Map<string, number>();
  const pause = () => new Promise((resolve) => setTimeout(resolve, Math.random() * form.pauseMs));
  const pick = () => conversations[Math.floor(Math.random() * conversations.length)]!;
  const change = async (tx: Tx) => {
    const touched = [...new Set([pick(), pick()])];
    await lockConversations(tx, touched);
    const keys: string[] = [];
    for (const conversationId of touched) {
      const n = (drawn.get(conversationId) ?? 0) + 1;
      drawn.set(conversationId, n);
      await pause();
      await appendEvents(tx, [numbered(conversationId, n)]);
      keys.push(`${conversationId} ${n}`);
    }
    await pause();
    if (Math.random() < form.rollbacks) throw new RolledBack();
    return keys;
  };
  const write = async () => {
    for (let count = 0; count < form.transactions; count += 1) {
      const keys = await transaction(systemCtx(core, 'writer'), change).catch((error: unknown) => {
        if (error instanceof RolledBack) return [];
        throw error;
      });
      for (const key of keys) committedAt.set(key, performance.now());
    }
  };
  const heardAt = new Map<string, number>();
  let looked = 0;
  const keyOf = (event: LoggedEvent) => `${event.conversationId} ${numberOf(event)}`;
  const seen = () => {
    for (const event of feed.events.slice(looked)) heardAt.set(keyOf(event), performance.now());
    looked = feed.events.length;
  };
  const watching = setInterval(seen, 1);
  await Promise.all(Array.from({ length: form.writers }, write));
  const heard = await feed.of(conversations, committedAt.size).finally(() => clearInterval(watching));
  seen();
  await feed.stop();

  const latencies = [...committedAt]
    .map(([key, at]) => (heardAt.get(key) ?? Number.POSITIVE_INFINITY) - at)
    .sort((a, b) => a - b);
  const lastOf = new Map<string, number>();
  const reordered = new Set<string>();
  let inverted = 0;
  heard.forEach((event, index) => {
    const before = heard[index - 1];
    if (before && comparePositions(before.position, event.position) >= 0) inverted += 1;
    const { conversationId } = event;
    if (conversationId === null) return;
    if (numberOf(event) <= (lastOf.get(conversationId) ?? 0)) reordered.add(conversationId);
    lastOf.set(conversationId, numberOf(event));
  });
  const keys = new Set(heard.map(keyOf));
  return {
    committed: committedAt.size,
    skipped: [...committedAt.keys()].filter((key) => !keys.has(key)).length,
    doubled: heard.length - keys.size,
    inverted,
    reordered: reordered.size,
    p50Ms: Math.round(latencies[Math.floor(latencies.length / 2)] ?? 0),
    p99Ms: Math.round(latencies[Math.floor(latencies.length * 0.99)] ?? 0),
  };
}

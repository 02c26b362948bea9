import pg from 'pg';
import type { Json } from '../support/app.ts';
import { makePlace, type Place, type Tested } from './action-ground.ts';
import { flawless, report, type Verdict, verify } from './verifier.ts';
import type { Ledger, SentMessage } from './webhook-load.ts';

/** What a run of webhooks came to. */
export interface IngestResult {
  verdict: Verdict;
  /** Of all answers. */
  statuses: number[];
  /** Deadlocks that PostgreSQL ended, whoever tried again. */
  deadlocks: number;
  /** Metadata that came before its subject and is not with it. */
  lostMetadata: number;
  /** Metadata that still waits for its subject. */
  waitingMetadata: number;
}

interface Ask {
  messages?: SentMessage[];
  metadata?: { namespace: 'message' | 'conversation'; source_id: string; metadata: unknown }[];
}

/** Sends webhooks of one source and keeps a ledger in memory: nobody dies here. */
class Writer {
  readonly ledger: Ledger = { batches: [], latencies: [], refusals: new Map(), refused: [] };
  readonly statuses = new Set<number>();
  readonly place: Place;
  readonly #tested: Tested;

  private constructor(tested: Tested, place: Place) {
    this.#tested = tested;
    this.place = place;
  }

  static async start(tested: Tested): Promise<Writer> {
    return new Writer(tested, await makePlace(tested, undefined, 0));
  }

  /** @returns the answer's items, none when it was refused */
  async post({ messages = [], metadata = [] }: Ask): Promise<Json[]> {
    const startedAt = performance.now();
    const { status, body } = await this.#tested.post(
      'sources.webhook',
      { messages: messages.map(toWebhook), metadata },
      this.place.token,
    );
    this.statuses.add(status);
    if (status !== 200) return [];
    this.ledger.latencies.push(performance.now() - startedAt);
    return body.data;
  }

  /** Notes what must be there. */
  expect(messages: SentMessage[], isAcked: boolean): void {
    this.ledger.batches.push({ messages, isAcked, sentAt: 0, ackedAt: undefined });
  }
}

function toWebhook(message: SentMessage) {
  return {
    source_message_id: message.sourceMessageId,
    source_conversation_id: message.sourceConversationId,
    source_channel_id: 'c',
    source_sender_id: `sender of ${message.sourceConversationId}`,
    content: { text: message.text },
    from_contact: message.fromContact,
    sent_at: message.sentAt,
  };
}

function shuffled<T>(list: readonly T[]): T[] {
  const left = [...list];
  for (let at = left.length - 1; at > 0; at -= 1) {
    const other = Math.floor(Math.random() * (at + 1));
    [left[at], left[other]] = [left[other]!, left[at]!];
  }
  return left;
}

/** Lists of `least` to `most`. */
function inParts<T>(list: readonly T[], least: number, most: number): T[][] {
  const parts: T[][] = [];
  for (let at = 0; at < list.length; at += parts.at(-1)!.length) {
    parts.push(list.slice(at, at + least + Math.floor(Math.random() * (most - least + 1))));
  }
  return parts;
}

async function sideBySide<T>(list: readonly T[], atOnce: number, work: (one: T) => Promise<unknown>): Promise<void> {
  let next = 0;
  const go = async () => {
    while (next < list.length) {
      const one = list[next]!;
      next += 1;
      await work(one);
    }
  };
  await Promise.all(Array.from({ length: atOnce }, go));
}

export interface DuplicatesForm {
  messages: number;
  conversations: number;
  connections: number;
}

/**
 * F4: each connection sends all messages, in an order, with contents and partly with conversations of its own; half of
 * each batch stands in it twice, and each batch is sent twice.
 */
export async function sendDuplicates(tested: Tested, form: DuplicatesForm): Promise<IngestResult> {
  const writer = await Writer.start(tested);
  const first = new Map<string, SentMessage>();
  const messageOf = (n: number, connection: number): SentMessage => ({
    sourceMessageId: `m-${n}`,
    // One in ten is claimed by another conversation.
    sourceConversationId: `c-${(n + (Math.random() < 0.1 ? 1 : 0)) % form.conversations}`,
    fromContact: n % 3 > 0,
    sentAt: 1_600_000_000_000 + n * 1_000,
    text: `${n} of connection ${connection}, ${Math.random()}`,
  });
  const send = async (messages: SentMessage[]) => {
    const items = await writer.post({ messages });
    items.forEach(({ status }, index) => {
      if (status === 'created') first.set(messages[index]!.sourceMessageId, messages[index]!);
    });
  };
  const connect = async (connection: number) => {
    const numbers = shuffled(Array.from({ length: form.messages }, (_, n) => n));
    for (const part of inParts(numbers, 1, 40)) {
      const messages = part.map((n) => messageOf(n, connection));
      const repeated = part.slice(0, part.length / 2).map((n) => messageOf(n, connection));
      const batch = [...messages, ...repeated];
      await send(batch);
      await send(batch);
    }
  };
  await Promise.all(Array.from({ length: form.connections }, (_, connection) => connect(connection)));
  for (let n = 0; n < form.messages; n += 1) {
    const created = first.get(`m-${n}`);
    writer.expect([created ?? messageOf(n, -1)], created !== undefined);
  }
  return judge('F4 duplicates', tested, writer, new Set());
}

export interface ShuffledForm {
  messages: number;
  conversations: number;
}

/** F5: messages of 20 minutes in any order, eight batches at once, and metadata before its message or conversation. */
export async function sendShuffled(tested: Tested, form: ShuffledForm): Promise<IngestResult> {
  const writer = await Writer.start(tested);
  const messages = Array.from(
    { length: form.messages },
    (_, n): SentMessage => ({
      sourceMessageId: `m-${n}`,
      sourceConversationId: `c-${n % form.conversations}`,
      fromContact: Math.random() < 0.6,
      // To the second, so that many share an instant.
      sentAt: 1_600_000_000_000 + Math.floor(Math.random() * 1_200) * 1_000,
      text: `message ${n}`,
    }),
  );
  const early = new Set([
    ...messages.filter((_, n) => n % 20 === 0).map((one) => `message ${one.sourceMessageId}`),
    ...Array.from({ length: form.conversations / 2 }, (_, n) => `conversation c-${n * 2}`),
  ]);
  const items = [...early].map((subject) => {
    const [namespace, id] = subject.split(' ') as ['message' | 'conversation', string];
    return { namespace, source_id: id, metadata: { early: id } };
  });
  // Half of it lies there before; the other half may come before its subject, with it or after it.
  const before = items.filter((_, index) => index % 2 === 0);
  await sideBySide(inParts(before, 1, 20), 8, (metadata) => writer.post({ metadata }));
  const asks: Ask[] = [
    ...inParts(shuffled(messages), 1, 20).map((part) => ({ messages: part })),
    ...inParts(
      items.filter((_, index) => index % 2 === 1),
      1,
      5,
    ).map((metadata) => ({ metadata })),
  ];
  await sideBySide(shuffled(asks), 8, async (one) => {
    const data = await writer.post(one);
    if (one.messages) writer.expect(one.messages, data.length === one.messages.length);
  });
  return judge('F5 shuffled', tested, writer, early);
}

async function judge(name: string, tested: Tested, writer: Writer, early: Set<string>): Promise<IngestResult> {
  const { databaseUrl, url, adminToken } = tested;
  const { sourceId } = writer.place;
  const verdict = await verify(writer.ledger, { databaseUrl, sourceId, api: { url, token: adminToken } });
  const client = new pg.Client({ connectionString: databaseUrl });
  await client.connect();
  try {
    const count = async (text: string, ...values: unknown[]): Promise<number> =>
      Number((await client.query(text, values)).rows[0].count);
    const subjects = [...early].map((subject) => subject.split(' ') as [string, string]);
    const idsOf = (namespace: string) => subjects.flatMap(([of, id]) => (of === namespace ? [id] : []));
    const kept =
      (await count(
        `select count(*) from message where source_message_id = any($1) and metadata->>'early' = source_message_id`,
        idsOf('message'),
      )) +
      (await count(
        `select count(*) from conversation
         where source_conversation_id = any($1) and metadata->>'early' = source_conversation_id`,
        idsOf('conversation'),
      ));
    const result = {
      verdict,
      statuses: [...writer.statuses],
      deadlocks: await count('select deadlocks count from pg_stat_database where datname = current_database()'),
      lostMetadata: early.size - kept,
      waitingMetadata: await count('select count(*) from waiting_metadata'),
    };
    writer.ledger.latencies.sort((one, other) => one - other);
    const { deadlocks, lostMetadata } = result;
    const more = `messages=${writer.ledger.batches.flatMap(({ messages }) => messages).length} requests=${writer.ledger.latencies.length}`;
    report(
      name,
      verdict,
      writer.ledger,
      tested.rssMb(),
      `${more} deadlocks=${deadlocks} lost-metadata=${lostMetadata}`,
    );
    return result;
  } finally {
    await client.end();
  }
}

/** What every run must come to. */
export const asPromised: IngestResult = {
  verdict: flawless,
  statuses: [200],
  deadlocks: 0,
  lostMetadata: 0,
  waitingMetadata: 0,
};

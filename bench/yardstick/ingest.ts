import { uuidv7 } from 'uuidv7';
import { sourceThingId } from '../../src/domain/ids.ts';
import type { YardstickMode } from '../contestants.ts';
import { ingestSql } from '../statements.ts';
import type { Pool, Statement } from './pool.ts';
import type { Broadcast } from './sockets.ts';

interface WebhookMessage {
  source_message_id: string;
  source_conversation_id: string;
  source_channel_id: string;
  source_sender_id: string;
  content: { text: string };
  from_contact: boolean;
  sent_at: number;
}

interface Waiting {
  messages: WebhookMessage[];
  ids: string[];
  resolve(body: string): void;
  reject(error: unknown): void;
}

export interface IngestOptions {
  pool: Pool;
  source: { id: string; name: string };
  mode: YardstickMode;
  broadcast: Broadcast;
}

/** Messages of one shared transaction at most, and such transactions side by side. */
const groupLimit = 1_000;
const groupsAtOnce = 1;

const columns = 'id, conversation_id, source_message_id, source_conversation_id, channel_id, sender, from_contact';
const statement: Statement = {
  name: 'ingest',
  text: ingestSql({
    source: '$1::uuid',
    slot: '$2::smallint',
    incoming: `
      select ord, ${columns}, contact_id, content, to_timestamp(sent_ms / 1000) sent_at
      from unnest($3::uuid[], $4::uuid[], $5::text[], $6::text[], $7::uuid[], $8::text[], $9::boolean[], $10::uuid[],
        $11::jsonb[], $12::float8[]) with ordinality t(${columns}, contact_id, content, sent_ms, ord)`,
  }),
};

/** `POST /sources.webhook`: each request a transaction of its own, or those that arrive while one runs share the next. */
export function createIngest({ pool, source, mode, broadcast }: IngestOptions): (body: string) => Promise<string> {
  let queue: Waiting[] = [];
  let running = 0;

  async function store(entries: Pick<Waiting, 'messages' | 'ids'>[]): Promise<Set<string | null>> {
    const messages = entries.flatMap((entry) => entry.messages);
    const ids = entries.flatMap((entry) => entry.ids);
    const rows = await pool.run(statement, (slot) => valuesOf(messages, ids, slot));
    const stored = new Set(rows.map(([id]) => id));
    broadcast.messages(messages, ids, stored);
    return stored;
  }

  function valuesOf(messages: WebhookMessage[], ids: string[], slot: number): unknown[] {
    return [
      source.id,
      slot % 16,
      plainArray(ids),
      plainArray(messages.map((m) => sourceThingId(source.name, m.source_conversation_id))),
      textArray(messages.map((m) => m.source_message_id)),
      textArray(messages.map((m) => m.source_conversation_id)),
      plainArray(messages.map((m) => sourceThingId(source.name, m.source_channel_id))),
      textArray(messages.map((m) => m.source_sender_id)),
      plainArray(messages.map((m) => m.from_contact)),
      plainArray(messages.map(() => uuidv7())),
      textArray(messages.map((m) => JSON.stringify(m.content))),
      plainArray(messages.map((m) => m.sent_at)),
    ];
  }

  function next(): void {
    if (running >= groupsAtOnce || queue.length === 0) return;
    let count = 0;
    for (let weight = 0; count < queue.length; count += 1) {
      weight += queue[count]!.ids.length;
      if (count > 0 && weight > groupLimit) break;
    }
    const group = queue.slice(0, count);
    queue = queue.slice(count);
    running += 1;
    void store(group)
      .then(
        (stored) => {
          for (const { messages, ids, resolve } of group) resolve(answerOf(messages, ids, stored));
        },
        (error) => {
          for (const { reject } of group) reject(error);
        },
      )
      .finally(() => {
        running -= 1;
        next();
      });
  }

  return async (body) => {
    const { messages } = JSON.parse(body) as { messages: WebhookMessage[] };
    const ids = messages.map((m) => sourceThingId(source.name, m.source_message_id));
    if (mode === 'single') return answerOf(messages, ids, await store([{ messages, ids }]));
    return new Promise((resolve, reject) => {
      queue.push({ messages, ids, resolve, reject });
      next();
    });
  };
}

// The first of equal ids was stored, the others were there already.
function answerOf(messages: WebhookMessage[], ids: string[], stored: Set<string | null>): string {
  const data = messages.map((message, index) => {
    const id = ids[index]!;
    return { source_message_id: message.source_message_id, id, status: stored.delete(id) ? 'created' : 'duplicate' };
  });
  return JSON.stringify({ data });
}

// Array literals by hand: the driver's own way costs several times as much.
function plainArray(values: readonly (string | number | boolean)[]): string {
  return `{${values.join(',')}}`;
}

function textArray(values: readonly string[]): string {
  return `{${values.map((value) => `"${/["\\]/.test(value) ? value.replace(/["\\]/g, '\\$&') : value}"`).join(',')}}`;
}

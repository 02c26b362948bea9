import { listSql, messagesSql } from '../statements.ts';
import type { Pool, Row, Statement } from './pool.ts';

interface PageBody {
  page_size?: number;
  cursor?: string;
}

type Metadata = Record<string, unknown>;

interface Source {
  id: string;
  name: string | null;
  image: string | null;
}

interface Person {
  name: string;
  avatar: string | null;
}

// One statement for each page size.
function prepared(name: string, text: (limit: number) => string): (pageSize: number) => Statement {
  const known = new Map<number, Statement>();
  return (pageSize) => {
    const statement = known.get(pageSize) ?? { name: `${name}_${pageSize}`, text: text(pageSize + 1) };
    known.set(pageSize, statement);
    return statement;
  };
}

const list = prepared('list', listSql);
const firstMessages = prepared('messages', (limit) => messagesSql({ conversation: '$1', limit }));
// Scalars: a row compared with a row subquery could not use the index.
const after = 'to_timestamp($2::float8 / 1000), $3::int';
const laterMessages = prepared('messages_after', (limit) => messagesSql({ conversation: '$1', limit, after }));

/** `POST /conversations.list` and `POST /messages.list`. */
export function createReads(pool: Pool): Record<'conversations' | 'messages', (body: string) => Promise<string>> {
  return {
    async conversations(body) {
      const { page_size } = JSON.parse(body) as PageBody;
      const size = page_size || 20;
      const rows = await pool.run(list(size), () => []);
      return JSON.stringify(
        page({
          rows,
          size,
          toItem: conversationOf,
          cursorOf: (row) => cursor('conversations', row[5], row[0]),
          total: rows[0]?.[29] ?? 0,
          more: { badge_unread_count: rows[0]?.[30] ?? 0 },
          isInside: false,
        }),
      );
    },

    async messages(body) {
      const { conversation_id, page_size, cursor: from } = JSON.parse(body) as PageBody & { conversation_id: string };
      const size = page_size || 20;
      const place = from ? (JSON.parse(Buffer.from(from, 'base64url').toString()) as unknown[]) : undefined;
      const rows = place
        ? await pool.run(laterMessages(size), () => [conversation_id, place[1], place[2]])
        : await pool.run(firstMessages(size), () => [conversation_id]);
      return JSON.stringify(
        page({
          rows,
          size,
          toItem: listedMessageOf,
          cursorOf: (row) => cursor('messages', row[6], row[8]),
          total: rows[0]?.[9] ?? 0,
          more: {},
          isInside: place !== undefined,
        }),
      );
    },
  };
}

interface PageParts {
  rows: Row[];
  size: number;
  toItem(row: Row): unknown;
  cursorOf(row: Row): string;
  total: unknown;
  more: Record<string, unknown>;
  isInside: boolean;
}

function page({ rows, size, toItem, cursorOf, total, more, isInside }: PageParts) {
  const hasMore = rows.length > size;
  const items = hasMore ? rows.slice(0, size) : rows;
  const next = hasMore ? cursorOf(items.at(-1)!) : null;
  const previous = isInside && items.length > 0 ? `before:${cursorOf(items[0]!)}` : null;
  return {
    data: items.map(toItem),
    response_metadata: {
      previous_cursor: previous ?? '',
      next_cursor: next ?? '',
      filtered_total: total,
      total,
      ...more,
    },
    pagination_data: { previous_cursor: previous, next_cursor: next, total },
  };
}

function cursor(...place: unknown[]): string {
  return Buffer.from(JSON.stringify(place)).toString('base64url');
}

const isoOf = (ms: unknown): string => new Date(ms as number).toISOString();
const metadataOf = (json: unknown): Metadata => (json === '{}' ? {} : (JSON.parse(json as string) as Metadata));

function conversationOf(row: Row) {
  const [id, createdMs, state, unread, metadata, , sourceId, sourceName, sourceImage] = row as [string, ...unknown[]];
  const [channelId, theirChannelId, channelName, channelImage, connected, channelMetadata] = row.slice(9, 15);
  const [contactId, displayName, firstName, lastName, avatar] = row.slice(15, 20) as (string | null)[];
  const source = { id: sourceId, name: sourceName, image: sourceImage } as Source;
  const defaults = defaultName(source, id);
  const person: Person = { name: displayName ?? `${defaults.first} ${defaults.last}`, avatar: avatar! };
  const tags = (row[28] ?? []) as string[];
  return {
    id,
    channel: {
      id: channelId,
      name: source.id,
      source: source.id,
      source_id: source.id,
      source_channel_id: theirChannelId,
      ...(channelImage !== null && { image_url: channelImage }),
      connected,
      metadata: {
        ...metadataOf(channelMetadata),
        name: channelName,
        ...(channelImage !== null && { image_url: channelImage }),
      },
    },
    created_at: isoOf(createdMs),
    contact: {
      id: contactId,
      avatar_url: avatar,
      first_name: displayName === null ? defaults.first : firstName,
      last_name: displayName === null ? defaults.last : lastName,
      info: {},
    },
    tags,
    last_message: row[20] === null ? null : messageOf(row.slice(20, 28), source, person),
    unread_message_count: unread,
    metadata: {
      ...metadataOf(metadata),
      contact: { display_name: person.name, avatar_url: avatar },
      tags: tags.length === 0 ? {} : Object.fromEntries(tags.map((tag) => [tag, ''])),
      unread_count: unread,
      state,
    },
  };
}

function listedMessageOf(row: Row) {
  const [conversationId, sourceId, sourceName, sourceImage, displayName, avatar] = row.slice(10) as [
    string,
    ...(string | null)[],
  ];
  const source = { id: sourceId, name: sourceName, image: sourceImage } as Source;
  const { first, last } = defaultName(source, conversationId);
  return messageOf(row, source, { name: displayName ?? `${first} ${last}`, avatar: avatar ?? null });
}

const states: Record<string, string> = { DELIVERED: 'delivered', READ: 'delivered', FAILED: 'failed' };
const senderTypes: Record<string, string> = { CONTACT: 'source_contact', SOURCE: 'source_user' };

function messageOf(row: Row, source: Source, contact: Person) {
  const [id, content, state, senderType, senderId, fromContact, sentMs, metadata] = row as [string, ...unknown[]];
  const raw = JSON.parse(content as string) as Record<string, unknown>;
  const shown = states[state as string] ?? 'pending';
  const sender = senderType === 'CONTACT' ? contact : { name: source.name ?? source.id, avatar: source.image };
  return {
    id,
    content: 'text' in raw && !('type' in raw) ? { ...raw, type: 'text' } : raw,
    state: shown,
    delivery_state: shown,
    sender_type: senderTypes[senderType as string] ?? 'app_user',
    from_contact: fromContact,
    sender: { id: senderId, name: sender.name, avatar_url: sender.avatar },
    sent_at: isoOf(sentMs),
    source: source.id,
    metadata: metadataOf(metadata),
  };
}

// `Bench 4ecb3`, as the older clients know a conversation whose contact has no name.
function defaultName(source: Source, conversationId: string): { first: string; last: string } {
  return { first: source.id.charAt(0).toUpperCase() + source.id.slice(1), last: conversationId.slice(-5) };
}

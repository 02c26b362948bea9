import { isDeepStrictEqual } from 'node:util';
import { sourceThingId } from '../../src/domain/ids.ts';
import { conversationFields, messageFields } from '../../src/rest/contracts/airy.payloads.ts';
import { filterCases } from '../filters.ts';
import { channelName, longMessages } from '../load-data.ts';
import type { ActionEndpoint } from './action-endpoint.ts';
import type { Faults } from './faults.ts';
import { requestHead } from './http-connection.ts';
import type { ClosedLoad } from './protocol.ts';

/** One request of a closed loop. */
export interface Request {
  head: string;
  body: string;
  units: number;
  /** Looks at the answer, at some of them more closely. */
  check(status: number, body: Buffer): void;
  /** What else must happen before the request counts as done. */
  also?(done: () => void): void;
}

/** Makes the requests of a slice. */
export interface Script {
  next(): Request;
  /** To be sent once more at the end: nothing may come of it. */
  repeats: Request[];
}

/** Every so many answers are read as a whole. */
const closelyEach = 200;
const repeated = 16;

export function scriptOf(load: ClosedLoad, faults: Faults, endpoint: ActionEndpoint, cursors: string[]): Script {
  switch (load.kind) {
    case 'ingest':
      return ingestScript(load, faults);
    case 'list':
      return listScript(load, faults);
    case 'messages':
      return messagesScript(load, faults, () => ({
        conversation: 1 + Math.floor(Math.random() * load.target.conversations),
      }));
    case 'messages_deep':
      return messagesScript(load, faults, () => ({
        conversation: 0,
        cursor: cursors[Math.floor(Math.random() * cursors.length)]!,
      }));
    case 'send':
      return sendScript(load, faults, endpoint);
  }
}

const filling = 'and then one more word and then one more word and then one more word and then one more word';

/** 90 characters that begin with `mark`. */
export function textOf(mark: string): string {
  return `${mark} ${filling}`.slice(0, 90);
}

/** JSON of a message for the webhook; a new conversation has a sender of its own. */
export function webhookMessage(id: string, conversation: string, sender: string, channel: string): string {
  return `{"source_message_id":"${id}","source_conversation_id":"${conversation}","source_channel_id":"${channel}","source_sender_id":"${sender}","content":{"text":"${textOf(id)}"},"from_contact":true,"sent_at":${Date.now()}}`;
}

function ingestScript({ target, batch, prefix }: ClosedLoad, faults: Faults): Script {
  const head = requestHead('/sources.webhook', target.credentials.sourceToken);
  const repeats: Request[] = [];
  let made = 0;
  let answers = 0;
  const message = () => {
    made += 1;
    const id = `${prefix}-${made}`;
    if (Math.random() < 0.05) return webhookMessage(id, `n-${id}`, `s-${id}`, channelName(made));
    const number = 1 + Math.floor(Math.random() * target.conversations);
    return webhookMessage(id, `c${number}`, `s${number}`, channelName(number));
  };
  const expectAll = (status: number, body: Buffer, word: 'created' | 'duplicate') => {
    const items = status === 200 ? (JSON.parse(body.toString()) as { data: { status: string }[] }).data : [];
    faults.expect(
      items.length === batch && items.every((item) => item.status === word),
      () => `ingest: ${status} instead of ${batch} x ${word}: ${body.toString()}`,
    );
  };
  return {
    repeats,
    next() {
      const messages: string[] = [];
      for (let count = 0; count < batch; count += 1) messages.push(message());
      const body = `{"messages":[${messages.join(',')}]}`;
      if (repeats.length < repeated) {
        repeats.push({ head, body, units: 0, check: (status, answer) => expectAll(status, answer, 'duplicate') });
      }
      return {
        head,
        body,
        units: batch,
        check(status, answer) {
          answers += 1;
          if (status !== 200 || answers % closelyEach === 1) expectAll(status, answer, 'created');
        },
      };
    },
  };
}

interface Listed {
  id: string;
  sentAt: string;
}

interface ListedPage {
  items: Listed[];
  total: number;
  filteredTotal?: number | null;
  unread?: number;
  next: string | null;
}

type RestList = {
  data: { id: string; sent_at: string; last_message: { sent_at: string } }[];
  response_metadata: { total: number; filtered_total: number | null; badge_unread_count?: number; next_cursor: string };
};

interface GraphList {
  nodes: { legacyId: string; sentAt: string; lastMessage: { sentAt: string } }[];
  total: number;
  filteredTotal?: number | null;
  unreadTotal?: number;
  pageInfo: { hasNextPage: boolean; endCursor: string };
}

/** What both styles say of a page, in one form. */
export function readPage(kind: 'list' | 'messages', style: ClosedLoad['style'], body: Buffer): ListedPage {
  const parsed: unknown = JSON.parse(body.toString());
  if (style === 'rest') {
    const { data, response_metadata: meta } = parsed as RestList;
    return {
      items: data.map((item) => ({
        id: item.id,
        sentAt: kind === 'list' ? item.last_message.sent_at : item.sent_at,
      })),
      total: meta.total,
      filteredTotal: meta.filtered_total,
      unread: meta.badge_unread_count,
      next: meta.next_cursor || null,
    };
  }
  const { data } = parsed as { data: { conversations: GraphList } & { conversation: { messages: GraphList } } };
  const page = kind === 'list' ? data.conversations : data.conversation.messages;
  return {
    items: page.nodes.map((node) => ({
      id: node.legacyId,
      sentAt: kind === 'list' ? node.lastMessage.sentAt : node.sentAt,
    })),
    total: page.total,
    filteredTotal: page.filteredTotal,
    unread: page.unreadTotal,
    next: page.pageInfo.hasNextPage ? page.pageInfo.endCursor : null,
  };
}

const pageInfo = 'pageInfo { hasNextPage hasPreviousPage startCursor endCursor }';
const listFields = `nodes { ${conversationFields} } ${pageInfo} total filteredTotal unreadTotal`;
const listQuery = `query ($first: Int) { conversations(first: $first) { ${listFields} } }`;
const filteredQuery = `query ($filter: ConversationFilterInput, $first: Int) { conversations(filter: $filter, first: $first) { ${listFields} } }`;
const messagesQuery = `query ($id: ID!, $first: Int, $after: Cursor) { conversation(id: $id) { sourceId messages(first: $first, after: $after) { nodes { ${messageFields} } ${pageInfo} total } } }`;

const oneLine = (text: string): string => text.replace(/\s+/g, ' ').trim();

function listScript({ target, style, pageSize, filter, totals }: ClosedLoad, faults: Faults): Script {
  const head = requestHead(style === 'rest' ? '/conversations.list' : '/graphql', target.credentials.userToken);
  const { conversations, unread, matches } = totals;
  const cases = filter ? filterCases(filter, matches) : [{ filters: undefined, matches: conversations }];
  let answers = 0;
  const requests = cases.map((one): Request => {
    const expected = { total: conversations, filteredTotal: one.matches, unread };
    const check = (status: number, answer: Buffer) => {
      answers += 1;
      if (status === 200 && answers % closelyEach !== 1) return;
      if (status !== 200) return faults.add(`list: ${status} ${answer.toString()}`);
      const { items, total, filteredTotal, unread } = readPage('list', style, answer);
      faults.expect(
        items.length === Math.min(pageSize, one.matches) && isFalling(items),
        () => `list: wrong page or order: ${answer.toString()}`,
      );
      const shown = { total, filteredTotal, unread };
      faults.expect(
        isDeepStrictEqual(shown, expected),
        () => `list: ${JSON.stringify(shown)} instead of ${JSON.stringify(expected)}`,
      );
    };
    return { head, body: listBody(style, pageSize, one.filters), units: 1, check };
  });
  // Not in turn: those that are looked at more closely would be of the same tag each time.
  return { repeats: [], next: () => requests[Math.floor(Math.random() * requests.length)]! };
}

function listBody(style: ClosedLoad['style'], first: number, filters: string | undefined): string {
  if (style === 'rest') return JSON.stringify({ page_size: first, filters });
  const filter = filters === undefined ? undefined : { query: filters };
  return JSON.stringify({ query: oneLine(filter ? filteredQuery : listQuery), variables: { first, filter } });
}

function isFalling(items: readonly Listed[]): boolean {
  return items.every((item, index) => {
    const before = items[index - 1];
    return !before || before.sentAt > item.sentAt || (before.sentAt === item.sentAt && before.id > item.id);
  });
}

/** The body of a request for one page of messages. */
export function messagesBody(style: ClosedLoad['style'], id: string, first: number, cursor?: string): string {
  return style === 'rest'
    ? JSON.stringify({ conversation_id: id, page_size: first, ...(cursor && { cursor }) })
    : JSON.stringify({ query: oneLine(messagesQuery), variables: { id, first, ...(cursor && { after: cursor }) } });
}

export const messagesPath = { rest: '/messages.list', graphql: '/graphql' };

function messagesScript(
  { target, style, pageSize }: ClosedLoad,
  faults: Faults,
  choose: () => { conversation: number; cursor?: string },
): Script {
  const head = requestHead(messagesPath[style], target.credentials.userToken);
  let answers = 0;
  return {
    repeats: [],
    next() {
      const { conversation, cursor } = choose();
      const id = sourceThingId(target.credentials.sourceId, `c${conversation}`);
      const count = conversation === 0 ? pageSize : 10;
      return {
        head,
        body: messagesBody(style, id, pageSize, cursor),
        units: 1,
        check(status, answer) {
          answers += 1;
          if (status === 200 && answers % closelyEach !== 1) return;
          const items = status === 200 ? readPage('messages', style, answer).items : [];
          faults.expect(
            items.length === count && isRising(items),
            () => `messages: ${status}, ${items.length} instead of ${count}: ${answer.toString()}`,
          );
        },
      };
    },
  };
}

export function isRising(items: readonly Listed[]): boolean {
  return items.every((item, index) => index === 0 || items[index - 1]!.sentAt <= item.sentAt);
}

/** All pages of the long conversation must hold each of its messages once. */
export const longConversation = { number: 0, messages: longMessages };

function sendScript({ target, prefix }: ClosedLoad, faults: Faults, endpoint: ActionEndpoint): Script {
  const head = requestHead('/messages.send', target.credentials.userToken);
  let made = 0;
  return {
    repeats: [],
    next() {
      made += 1;
      const text = textOf(`${prefix}-${made}`);
      const number = 1 + Math.floor(Math.random() * target.conversations);
      const id = sourceThingId(target.credentials.sourceId, `c${number}`);
      return {
        head,
        body: JSON.stringify({ conversation_id: id, message: { text } }),
        units: 1,
        check: (status, answer) =>
          faults.expect(
            status === 200 && answer.includes('"state":"pending"'),
            () => `send: ${status} ${answer.toString()}`,
          ),
        also: (done) => endpoint.expect(text, done),
      };
    },
  };
}

import { sourceThingId } from '../../src/domain/ids.ts';
import { conversationFields, messageFields } from '../../src/rest/contracts/airy.payloads.ts';
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
  unread?: number;
  next: string | null;
}

type RestList = {
  data: { id: string; sent_at: string; last_message: { sent_at: string } }[];
  response_metadata: { total: number; badge_unread_count?: number; next_cursor: string };
};

interface GraphList {
  nodes: { legacyId: string; sentAt: string; lastMessage: { sentAt: string } }[];
  total: number;
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
    unread: page.unreadTotal,
    next: page.pageInfo.hasNextPage ? page.pageInfo.endCursor : null,
  };
}

const pageInfo = 'pageInfo { hasNextPage hasPreviousPage startCursor endCursor }';
const listQuery = `query ($first: Int) { conversations(first: $first) { nodes { ${conversationFields} } ${pageInfo} total filteredTotal unreadTotal } }`;
const messagesQuery = `query ($id: ID!, $first: Int, $after: Cursor) { conversation(id: $id) { sourceId messages(first: $first, after: $after) { nodes { ${messageFields} } ${pageInfo} total } } }`;

const oneLine = (text: string): string => text.replace(/\s+/g, ' ').trim();

function listScript({ target, style, pageSize, totals }: ClosedLoad, faults: Faults): Script {
  const path = style === 'rest' ? '/conversations.list' : '/graphql';
  const body =
    style === 'rest'
      ? JSON.stringify({ page_size: pageSize })
      : JSON.stringify({ query: oneLine(listQuery), variables: { first: pageSize } });
  let answers = 0;
  const check = (status: number, answer: Buffer) => {
    answers += 1;
    if (status === 200 && answers % closelyEach !== 1) return;
    if (status !== 200) return faults.add(`list: ${status} ${answer.toString()}`);
    const page = readPage('list', style, answer);
    const isOrdered = page.items.every((item, index) => {
      const before = page.items[index - 1];
      return !before || before.sentAt > item.sentAt || (before.sentAt === item.sentAt && before.id > item.id);
    });
    faults.expect(page.items.length === pageSize && isOrdered, () => `list: wrong page or order: ${answer.toString()}`);
    faults.expect(
      !totals || (page.total === totals.conversations && page.unread === totals.unread),
      () => `list: totals ${page.total} and ${page.unread} instead of ${JSON.stringify(totals)}`,
    );
  };
  const request = { head: requestHead(path, target.credentials.userToken), body, units: 1, check };
  return { repeats: [], next: () => request };
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

import type { Writable } from 'node:stream';
import { CloseCode, createClient } from 'graphql-ws/client';
import { WebSocket } from 'ws';
import { z } from 'zod';
import { CliFailure, sentenceOf } from './failure.ts';
import { GatewayClient, type GatewayOptions } from './gateway-client.ts';
import { clockTime, pause, printable, printLine } from './terminal.ts';

export interface TailOptions extends GatewayOptions {
  /** Replays what came after it. */
  after?: string;
  /** One JSON object per line instead of words. */
  json: boolean;
  out: Writable;
  /** Where it says that it connects and reconnects, apart from the events. */
  notices: Writable;
  signal: AbortSignal;
}

const subscription = `subscription Tail($after: Cursor) {
  inbox(after: $after) {
    __typename
    ... on MessageEvent {
      cursor at created
      message {
        id legacyId fromContact senderType deliveryState
        sender { __typename ... on Contact { displayName } ... on User { firstName lastName } ... on Source { sourceId } }
        content {
          __typename
          ... on TextContent { text }
          ... on MediaContent { url caption }
          ... on LocationContent { label }
          ... on UnknownContent { type preview }
        }
        conversation { id legacyId }
      }
    }
    ... on ConversationEvent { cursor at created conversation { id legacyId state unreadCount contact { displayName } } }
    ... on ChannelEvent { cursor at channel { id legacyId name connected } }
    ... on TagEvent { cursor at tag { id legacyId name } deletedId }
    ... on ResetEvent { cursor at reason }
  }
}`;

const text = z.string().nullish();
const head = { cursor: z.string(), at: z.string() };
const eventShape = z.discriminatedUnion('__typename', [
  z.object({
    __typename: z.literal('MessageEvent'),
    ...head,
    created: z.boolean(),
    message: z.looseObject({
      legacyId: z.string(),
      fromContact: z.boolean(),
      senderType: z.string(),
      deliveryState: z.string(),
      sender: z.object({ displayName: text, firstName: text, lastName: text, sourceId: text }).nullish(),
      content: z.looseObject({ __typename: z.string() }),
      conversation: z.looseObject({ legacyId: z.string() }),
    }),
  }),
  z.object({
    __typename: z.literal('ConversationEvent'),
    ...head,
    created: z.boolean(),
    conversation: z.looseObject({
      legacyId: z.string(),
      state: z.string(),
      unreadCount: z.number(),
      contact: z.object({ displayName: z.string() }).nullish(),
    }),
  }),
  z.object({
    __typename: z.literal('ChannelEvent'),
    ...head,
    channel: z.looseObject({ legacyId: z.string(), name: z.string(), connected: z.boolean() }),
  }),
  z.object({
    __typename: z.literal('TagEvent'),
    ...head,
    tag: z.looseObject({ legacyId: z.string(), name: z.string() }).nullish(),
    deletedId: text,
  }),
  z.object({ __typename: z.literal('ResetEvent'), ...head, reason: z.string() }),
]);
type TailedEvent = z.infer<typeof eventShape>;
const newest = z.object({ eventCursor: z.string() });
const cursorOnly = z.object({ cursor: z.string() });

/** How a connection ended. */
type End = { kind: 'closed'; reason: string } | { kind: 'refused'; reason: string };

// What no reconnecting heals, by the close codes of graphql-ws.
const finalCodes = new Set<number>([CloseCode.Unauthorized, CloseCode.Forbidden, CloseCode.BadRequest]);
const passingErrors = new Set(['UNAVAILABLE', 'RATE_LIMITED', 'INTERNAL_SERVER_ERROR']);

/**
 * Prints the events of the inbox as they come, one line each. After a lost connection it goes on where it was, by the
 * cursor of the last event.
 *
 * @throws CliFailure when the gateway refuses or was never reached
 */
export async function tailEvents(options: TailOptions): Promise<void> {
  const { signal, notices, json, out } = options;
  const client = new GatewayClient(options);
  const token = client.userToken;
  // Without a place to begin, what happens while the first connection is lost would be missed.
  let after = options.after ?? (await client.graphql('{ eventCursor }', {}, newest)).eventCursor;
  let wasConnected = false;
  for (let failures = 0; !signal.aborted; ) {
    const end = await oneConnection({
      url: client.socketUrl,
      token,
      after,
      signal,
      onConnected: () => {
        failures = 0;
        printLine(notices, wasConnected ? 'Connected again.' : `Connected to ${client.url}; Ctrl-C ends it.`);
        wasConnected = true;
      },
      onEvent: (value) => {
        after = cursorOnly.safeParse(value).data?.cursor ?? after;
        printLine(out, json ? JSON.stringify(value) : lineOf(value));
      },
    });
    if (signal.aborted) break;
    if (end.kind === 'refused' || !wasConnected) {
      // A cursor that was refused leads nowhere later either.
      const advice = after === options.after && end.kind === 'refused' ? '' : ` Go on later with --after ${after}.`;
      throw new CliFailure(`${end.reason}.${advice}`);
    }
    const waitMs = Math.min(30_000, 500 * 2 ** failures) * (0.8 + Math.random() * 0.4);
    failures += 1;
    printLine(notices, `The connection ended (${end.reason}); trying again in ${Math.ceil(waitMs / 1000)} s.`);
    await pause(waitMs, signal);
  }
}

interface Connection {
  url: string;
  token: string;
  after: string;
  signal: AbortSignal;
  onConnected: () => void;
  onEvent: (value: unknown) => void;
}

/** Subscribes once; resolves when that ends, however it ends. */
async function oneConnection({ url, token, after, signal, onConnected, onEvent }: Connection): Promise<End> {
  let pongTimer: NodeJS.Timeout | undefined;
  const socket = createClient({
    url,
    webSocketImpl: WebSocket,
    connectionParams: { authorization: `Bearer ${token}` },
    // Our own loop reconnects, since the cursor to resume by changes with every event.
    retryAttempts: 0,
    // A dead network says nothing: without an answer to a ping the connection counts as lost.
    keepAlive: 15_000,
    on: {
      connected: onConnected,
      ping: (received) => {
        if (!received) pongTimer = setTimeout(() => socket.terminate(), 10_000);
      },
      pong: (received) => {
        if (received) clearTimeout(pongTimer);
      },
    },
  });
  const dispose = () => void socket.dispose();
  signal.addEventListener('abort', dispose, { once: true });
  try {
    return await new Promise<End>((resolve) => {
      socket.subscribe<{ inbox: unknown }>(
        { query: subscription, variables: { after }, operationName: 'Tail' },
        {
          next: ({ data, errors }) => {
            const fault = errors?.[0];
            if (fault) resolve(endOf(errors));
            else if (data) onEvent(data.inbox);
          },
          error: (error) => resolve(endOf(error)),
          complete: () => resolve({ kind: 'closed', reason: 'the gateway completed it' }),
        },
      );
    });
  } finally {
    clearTimeout(pongTimer);
    signal.removeEventListener('abort', dispose);
    dispose();
  }
}

const closeShape = z.object({ code: z.number(), reason: z.string() });
const faultList = z
  .array(z.object({ message: z.string(), extensions: z.object({ code: z.string() }).partial().optional() }))
  .min(1);

function endOf(error: unknown): End {
  const faults = faultList.safeParse(error).data;
  const fault = faults?.[0];
  if (fault) {
    const kind = passingErrors.has(fault.extensions?.code ?? '') ? 'closed' : 'refused';
    return { kind, reason: printable(fault.message, 500).replace(/\.$/, '') };
  }
  const close = closeShape.safeParse(error).data;
  if (close) {
    const reason = `${close.code}${close.reason ? ` ${printable(close.reason)}` : ''}`;
    if (finalCodes.has(close.code)) return { kind: 'refused', reason: `The gateway refused the connection: ${reason}` };
    return { kind: 'closed', reason };
  }
  return { kind: 'closed', reason: `the gateway cannot be reached: ${sentenceOf(reasonOf(error))}` };
}

// ws tells what happened in an ErrorEvent that holds the Error.
function reasonOf(error: unknown): unknown {
  return error && typeof error === 'object' && 'error' in error && error.error instanceof Error ? error.error : error;
}

/** One event in words: time, kind, conversation, who, what. */
export function lineOf(value: unknown): string {
  const event = eventShape.safeParse(value).data;
  if (!event)
    return `an event of a kind that this version does not know: ${printable(JSON.stringify(value) ?? '', 200)}`;
  return `${clockTime(new Date(event.at))}  ${wordsOf(event)}`;
}

function wordsOf(event: TailedEvent): string {
  switch (event.__typename) {
    case 'MessageEvent': {
      const { message, created } = event;
      const kind = created ? 'message' : `message ${message.deliveryState.toLowerCase()}`;
      return row(kind, message.conversation.legacyId, `${senderOf(message)}: ${previewOf(message.content)}`);
    }
    case 'ConversationEvent': {
      const { conversation, created } = event;
      const who = printable(conversation.contact?.displayName ?? 'no contact yet', 40);
      const state = `${conversation.state.toLowerCase()}, ${conversation.unreadCount} unread`;
      return row(created ? 'conversation new' : 'conversation', conversation.legacyId, `${who}: ${state}`);
    }
    case 'ChannelEvent': {
      const { legacyId, name, connected } = event.channel;
      return row('channel', legacyId, `${printable(name, 40)}: ${connected ? 'connected' : 'disconnected'}`);
    }
    case 'TagEvent':
      if (event.tag) return row('tag', event.tag.legacyId, printable(event.tag.name, 40));
      return row('tag deleted', '', printable(event.deletedId ?? '?', 60));
    case 'ResetEvent':
      return `RESET: ${printable(event.reason, 300)}. Events before this one are lost to this reader: load lists again.`;
  }
}

/** The first eight characters of an id tell conversations apart on a screen. */
function row(kind: string, id: string, what: string): string {
  return `${kind.padEnd(17)}  ${id.slice(0, 8).padEnd(8)}  ${what}`;
}

type TailedMessage = Extract<TailedEvent, { __typename: 'MessageEvent' }>['message'];

function senderOf({ sender, senderType }: TailedMessage): string {
  const name = sender?.displayName ?? [sender?.firstName, sender?.lastName].filter(Boolean).join(' ');
  return printable(name || sender?.sourceId || senderType.toLowerCase(), 40);
}

function previewOf(content: TailedMessage['content']): string {
  for (const key of ['text', 'caption', 'preview', 'label', 'url', 'type']) {
    const part = content[key];
    if (typeof part === 'string' && part !== '') return `"${printable(part, 100)}"`;
  }
  return `(${content.__typename})`;
}

import { createClient } from 'graphql-ws';

/** A message as the link shows it. */
export interface LinkedMessage {
  id: string;
  fromContact: boolean;
  text: string | null;
  raw: unknown;
  /** ISO 8601. */
  sentAt: string;
}

export interface MessagePage {
  nodes: LinkedMessage[];
  pageInfo: { hasPreviousPage: boolean; startCursor: string | null };
}

export interface LinkedConversation {
  channelName: string;
  contactName: string | null;
  isOpen: boolean;
  /** Where `listen` goes on from. */
  cursor: string;
  messages: MessagePage;
}

/** The server said no. */
export class Refused extends Error {
  readonly code: string;
  readonly retryAfterMs: number | undefined;

  constructor(code: string, message: string, retryAfterMs?: number) {
    super(message);
    this.code = code;
    this.retryAfterMs = retryAfterMs;
  }
}

/** The link is unknown or its time is over: nothing helps. */
export class LinkOver extends Error {}

export interface Listener {
  /** Whether messages come as they are stored, at the moment. */
  live(isLive: boolean): void;
  message(message: LinkedMessage): void;
  /** Some may have been missed: read the conversation again. */
  reset(): void;
  over(): void;
}

interface Answer<Data> {
  data?: Data | null;
  errors?: { message: string; extensions?: { code?: string; retryAfterMs?: number } }[];
}

type StreamEvent = { cursor: string; message?: LinkedMessage };

const graphqlPath = '/graphql';
const pageSize = 30;
const timeoutMs = 15_000;
const firstWaitMs = 500;
const longestWaitMs = 15_000;
/** A phone that changes its network leaves sockets behind that look open. */
const pingMs = 20_000;
const pongMs = 5_000;
/** A token is not used in its last minute. */
const spareMs = 60_000;

const messageFields = 'id fromContact text raw sentAt';
const pageFields = `nodes { ${messageFields} } pageInfo { hasPreviousPage startCursor }`;

/** The way to the one conversation of a link. Tokens are opened when needed and kept in memory only. */
export class Link {
  readonly #linkToken: string;
  #opened: Promise<{ token: string; expiresAt: string }> | undefined;

  constructor(linkToken: string) {
    this.#linkToken = linkToken;
  }

  /** The conversation with its last messages. @throws LinkOver @throws Refused @throws Error no connection */
  async load(): Promise<LinkedConversation> {
    const { linkedConversation } = await this.#ask<{ linkedConversation: LinkedConversation }>(
      `query ($last: Int!) {
        linkedConversation { channelName contactName isOpen cursor messages(last: $last) { ${pageFields} } }
      }`,
      { last: pageSize },
    );
    return linkedConversation;
  }

  /** The messages before a cursor. */
  async loadBefore(before: string): Promise<MessagePage> {
    const { linkedConversation } = await this.#ask<{ linkedConversation: { messages: MessagePage } }>(
      `query ($last: Int!, $before: Cursor!) {
        linkedConversation { messages(last: $last, before: $before) { ${pageFields} } }
      }`,
      { last: pageSize, before },
    );
    return linkedConversation.messages;
  }

  /** Sent again with the same id it is the same message. */
  async send(input: { id: string; text: string }): Promise<LinkedMessage> {
    const { sendLinkedMessage } = await this.#ask<{ sendLinkedMessage: { message: LinkedMessage } }>(
      `mutation ($input: SendLinkedMessageInput!) { sendLinkedMessage(input: $input) { message { ${messageFields} } } }`,
      { input },
    );
    return sendLinkedMessage.message;
  }

  /** Tells what comes after the cursor, for as long as the page is open; a lost connection is made again. */
  async listen(cursor: string, listener: Listener): Promise<void> {
    let after = cursor;
    for (let waitMs = firstWaitMs; ; waitMs = Math.min(waitMs * 2, longestWaitMs)) {
      try {
        for await (const event of this.#events(await this.#token(), after, listener)) {
          waitMs = firstWaitMs;
          after = event.cursor;
          if (event.message) listener.message(event.message);
          else listener.reset();
        }
      } catch (error) {
        if (error instanceof LinkOver) return listener.over();
        // Also when only the token was: the next turn opens the link again and learns what is the case.
        if (error instanceof CloseEvent && (error.code === 4401 || error.code === 4403)) this.#opened = undefined;
      }
      listener.live(false);
      // Many come back together after a restart.
      await untilOnline(waitMs * (0.5 + Math.random()));
    }
  }

  async *#events(token: string, after: string, listener: Listener): AsyncGenerator<StreamEvent> {
    let unanswered: ReturnType<typeof setTimeout> | undefined;
    const client = createClient({
      url: `${location.protocol === 'https:' ? 'wss' : 'ws'}://${location.host}${graphqlPath}`,
      connectionParams: { authorization: `Bearer ${token}` },
      retryAttempts: 0,
      keepAlive: pingMs,
      on: {
        connected: () => listener.live(true),
        ping: (isReceived) => {
          if (!isReceived) unanswered = setTimeout(() => client.terminate(), pongMs);
        },
        pong: () => clearTimeout(unanswered),
      },
    });
    try {
      const query = `subscription ($after: Cursor) {
        linkedMessages(after: $after) {
          ... on Event { cursor }
          ... on LinkedMessageEvent { message { ${messageFields} } }
        }
      }`;
      for await (const { data } of client.iterate<{ linkedMessages: StreamEvent }>({ query, variables: { after } })) {
        if (data) yield data.linkedMessages;
      }
    } finally {
      clearTimeout(unanswered);
      void client.dispose();
    }
  }

  async #token(): Promise<string> {
    const kept = await this.#opened?.catch(() => undefined);
    if (kept && Date.parse(kept.expiresAt) - Date.now() > spareMs) return kept.token;
    this.#opened = this.#open();
    return (await this.#opened).token;
  }

  async #open(): Promise<{ token: string; expiresAt: string }> {
    try {
      const { openJourneyLink } = await post<{ openJourneyLink: { token: string; expiresAt: string } }>(
        'mutation ($input: OpenJourneyLinkInput!) { openJourneyLink(input: $input) { token expiresAt } }',
        { input: { linkToken: this.#linkToken } },
      );
      return openJourneyLink;
    } catch (error) {
      throw error instanceof Refused && error.code === 'NOT_FOUND' ? new LinkOver() : error;
    }
  }

  async #ask<Data>(query: string, variables: object): Promise<Data> {
    const token = await this.#token();
    try {
      return await post<Data>(query, variables, token);
    } catch (error) {
      if (!(error instanceof Refused) || error.code !== 'UNAUTHENTICATED') throw error;
      this.#opened = undefined;
      return post<Data>(query, variables, await this.#token());
    }
  }
}

async function post<Data>(query: string, variables: object, token?: string): Promise<Data> {
  const response = await fetch(graphqlPath, {
    method: 'POST',
    headers: { 'content-type': 'application/json', ...(token && { authorization: `Bearer ${token}` }) },
    body: JSON.stringify({ query, variables }),
    signal: AbortSignal.timeout(timeoutMs),
  });
  const { data, errors }: Answer<Data> = await response.json();
  const fault = errors?.[0];
  if (fault) throw new Refused(fault.extensions?.code ?? '', fault.message, fault.extensions?.retryAfterMs);
  if (!data) throw new Error('no answer');
  return data;
}

// Whoever comes back to the page, or into reach, does not wait.
function untilOnline(waitMs: number): Promise<void> {
  return new Promise((resolve) => {
    const end = () => {
      clearTimeout(timer);
      removeEventListener('online', end);
      document.removeEventListener('visibilitychange', end);
      resolve();
    };
    const timer = setTimeout(end, waitMs);
    addEventListener('online', end);
    document.addEventListener('visibilitychange', end);
  });
}

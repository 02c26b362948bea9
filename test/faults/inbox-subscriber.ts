import pg from 'pg';
import { WebSocket } from 'ws';
import { decodeEventCursor } from '../../src/domain/events.ts';

/** The events of the inbox, as the subscribers of fault runs ask for them. */
export const inbox = `subscription ($after: Cursor) { inbox(after: $after) {
  __typename
  ... on Event { cursor }
  ... on MessageEvent { created message { legacyId } }
  ... on ResetEvent { reason } } }`;

export interface Heard {
  kind: string;
  /** `txid.id`, as the log has it. */
  position: string;
  messageId: string | undefined;
  /** Wall clock, ms. */
  at: number;
}

interface Frame {
  type: string;
  payload?: {
    data?: {
      inbox: { __typename: string; cursor: string; message?: { legacyId: string }; reason?: string };
    };
    errors?: { message: string }[];
  };
}

const open = new Set<InboxSubscriber>();

/** Ends all subscribers of a file; call it in afterAll, before their gateways end. */
export function endSubscribers(): void {
  for (const subscriber of [...open]) subscriber.close();
}

/** A client of the inbox that comes back with its last cursor whenever its socket closes. */
export class InboxSubscriber {
  readonly heard: Heard[] = [];
  readonly resets: string[] = [];
  readonly faults: string[] = [];
  /** The codes its sockets were closed with. */
  readonly closed: number[] = [];
  /** How often it was let in. */
  joined = 0;
  readonly #url: string;
  readonly #token: string;
  readonly #comesBack: boolean;
  #cursor: string | undefined;
  #socket: WebSocket | undefined;
  #retry: NodeJS.Timeout | undefined;
  #isDone = false;

  constructor(
    wsUrl: string,
    { token, after, comesBack = true }: { token: string; after?: string; comesBack?: boolean },
  ) {
    this.#url = wsUrl;
    this.#token = token;
    this.#cursor = after;
    this.#comesBack = comesBack;
    open.add(this);
    this.#connect();
  }

  has({ position }: { position: string }): boolean {
    return this.heard.some((event) => event.position === position);
  }

  close(): void {
    this.#isDone = true;
    clearTimeout(this.#retry);
    this.#socket?.terminate();
    open.delete(this);
  }

  #connect(): void {
    const socket = new WebSocket(this.#url, 'graphql-transport-ws');
    this.#socket = socket;
    const send = (frame: unknown) => socket.send(JSON.stringify(frame));
    socket.on('error', () => undefined);
    let wasOpen = false;
    socket.once('open', () => {
      wasOpen = true;
      send({ type: 'connection_init', payload: { authorization: `Bearer ${this.#token}` } });
    });
    socket.on('message', (data) => {
      const frame = JSON.parse(String(data)) as Frame;
      if (frame.type === 'connection_ack') {
        this.joined += 1;
        const variables = this.#cursor === undefined ? {} : { after: this.#cursor };
        send({ id: '1', type: 'subscribe', payload: { query: inbox, variables } });
      } else this.#hear(frame);
    });
    socket.once('close', (code) => {
      if (this.#isDone) return;
      if (wasOpen) this.closed.push(code);
      if (!this.#comesBack) return;
      this.#retry = setTimeout(() => this.#connect(), 50);
    });
  }

  #hear({ type, payload }: Frame): void {
    if (type === 'ping') this.#socket?.send('{"type":"pong"}');
    const event = payload?.data?.inbox;
    if (!event) {
      if (type !== 'pong' && type !== 'ping') this.faults.push(JSON.stringify({ type, payload }).slice(0, 300));
      return;
    }
    this.#cursor = event.cursor;
    if (event.__typename === 'ResetEvent') this.resets.push(event.reason ?? '');
    const { txid, id } = decodeEventCursor(event.cursor).position;
    this.heard.push({
      kind: event.__typename,
      position: `${txid}.${id}`,
      messageId: event.message?.legacyId,
      at: performance.timeOrigin + performance.now(),
    });
  }
}

export interface LoggedRow {
  position: string;
  conversationId: string | null;
  messageId: string | null;
  sequence: number | null;
}

/** The part of the log that an inbox hears of, in order, after a cursor. */
export async function readLog(databaseUrl: string, after: string): Promise<LoggedRow[]> {
  const client = new pg.Client({ connectionString: databaseUrl });
  await client.connect();
  try {
    const { txid, id } = decodeEventCursor(after).position;
    const { rows } = await client.query<LoggedRow>(
      `select e.txid::text || '.' || e.id position, e.conversation_id::text "conversationId",
         m.id::text "messageId", m.sequence
       from event e left join message m on m.id::text = e.payload->>'messageId' and e.kind = 'message.created'
       where (e.txid, e.id) > ($1::xid8, $2::bigint) and e.kind ~ '^(message|conversation|channel|tag)\\.'
       order by e.txid, e.id`,
      [String(txid), String(id)],
    );
    return rows;
  } finally {
    await client.end();
  }
}

/** What a subscriber missed, heard twice, or heard in another order than the log has it. */
export function compareHeard(heard: readonly Heard[], log: readonly LoggedRow[]) {
  const positions = heard.map(({ position }) => position);
  const known = new Set(positions);
  const places = new Map(log.map(({ position }, index) => [position, index]));
  let isOrdered = true;
  let last = -1;
  for (const position of positions) {
    const place = places.get(position) ?? Number.POSITIVE_INFINITY;
    if (place <= last) isOrdered = false;
    last = place;
  }
  return {
    missed: log.filter(({ position }) => !known.has(position)).length,
    twice: positions.length - known.size,
    unknown: positions.filter((position) => !places.has(position)).length,
    isOrdered,
  };
}

/** Conversations in which the log tells messages in another order than the one they were stored in. */
export function reorderedConversations(log: readonly LoggedRow[]): string[] {
  const lastOf = new Map<string, number>();
  const wrong = new Set<string>();
  for (const { conversationId, sequence } of log) {
    if (conversationId === null || sequence === null) continue;
    if (sequence <= (lastOf.get(conversationId) ?? 0)) wrong.add(conversationId);
    lastOf.set(conversationId, sequence);
  }
  return [...wrong];
}

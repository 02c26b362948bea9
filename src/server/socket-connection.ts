import { randomBytes } from 'node:crypto';
import type { WebSocket as GraphSocket } from 'graphql-ws';
import type { Logger } from 'pino';
import type { RawData, WebSocket } from 'ws';
import type { Principal } from '../graphql/execute.ts';
import { parseJson } from './json-body.ts';
import { SocketOperations } from './socket-operations.ts';

/** What the kernel did not take yet of one socket, beyond which it is cut: more than the largest answers that may be on their way. */
const maxBufferedBytes = 48 * 1024 * 1024;
const longestTimerMs = 2 ** 31 - 1;
/** Types of messages that only a server sends: graphql-ws would take them for faults of ours. */
const serverTypes: unknown[] = ['connection_ack', 'next', 'error'];
/** Tells the next sockets apart, so that their pings spread over time. */
let made = 0;

/** One socket: who it is, and how graphql-ws reads and writes it. */
export class Connection {
  principal: Principal = { kind: 'anonymous' };
  /** To look again whether the token still holds. */
  authorization: string | undefined;
  readonly address: string;
  readonly slot = made++;
  readonly operations = new SocketOperations();
  /** Characters that wait for the client. */
  unsent = 0;
  readonly #ws: WebSocket;
  readonly #log: Logger;
  readonly #id: string;
  #requests = 0;
  #expiry: NodeJS.Timeout | undefined;
  /** What the last ping said, until its pong has come. */
  #pinged: Buffer | undefined;
  // Results that are on their way through graphql-ws, by the number in their marker.
  readonly #marked = new Map<number, string>();
  #marks = 0;
  readonly #onUnsent: (characters: number) => void;
  #isReleased = false;

  constructor(
    ws: WebSocket,
    { address, id, log, onUnsent }: { address: string; id: string; log: Logger; onUnsent(characters: number): void },
  ) {
    this.#ws = ws;
    this.#log = log;
    this.#onUnsent = onUnsent;
    this.address = address;
    this.#id = id;
    // A broken frame closes the socket by itself, with the code of the fault.
    ws.on('error', () => {});
    // Only an answer counts: pongs without a ping may come from a client that reads nothing.
    ws.on('pong', (data) => {
      if (this.#pinged?.equals(data)) this.#pinged = undefined;
    });
  }

  get isOpen(): boolean {
    return this.#ws.readyState === this.#ws.OPEN;
  }

  /** Of one operation; begins with the socket's own id. */
  nextRequestId(): string {
    this.#requests += 1;
    return `${this.#id}.${this.#requests}`;
  }

  identify(principal: Principal, authorization: string): void {
    this.principal = principal;
    this.authorization = authorization;
  }

  /** Closes with 4401 when the token ends. */
  closeAt(inMs: number): void {
    const waitMs = Math.min(Math.max(inMs, 0), longestTimerMs);
    this.#expiry = setTimeout(() => {
      if (waitMs < inMs) this.closeAt(inMs - waitMs);
      else this.close(4401, 'Unauthorized');
    }, waitMs).unref();
  }

  close(code: number, reason: string): void {
    this.#ws.close(code, reason);
  }

  terminate(): void {
    this.#ws.terminate();
  }

  ping(): void {
    if (!this.isOpen) return;
    if (this.#pinged) {
      this.#ws.terminate();
      return;
    }
    this.#pinged = randomBytes(8);
    this.#ws.ping(this.#pinged);
  }

  release(): void {
    clearTimeout(this.#expiry);
    this.#marked.clear();
    this.#countUnsent(-this.unsent);
    this.#isReleased = true;
  }

  /**
   * Puts a prepared result aside and gives the payload that stands for it until `send`: graphql-ws would stringify
   * the whole result for each socket.
   */
  mark(json: string): { '~': number } {
    this.#marks += 1;
    this.#marked.set(this.#marks, json);
    return { '~': this.#marks };
  }

  /** The socket as graphql-ws sees it. */
  get protocolSocket(): GraphSocket {
    return {
      protocol: this.#ws.protocol,
      send: (frame) => this.#send(frame),
      close: (code, reason) => this.#ws.close(code, reason),
      onMessage: (listener) => {
        this.#ws.on('message', (data, isBinary) => this.#receive(data, isBinary, listener));
      },
    };
  }

  #receive(data: RawData, isBinary: boolean, listener: (message: string) => Promise<void>): void {
    let message: unknown;
    try {
      if (isBinary) throw new Error('text frames only');
      message = parseJson(data as Buffer);
      if (serverTypes.includes((message as { type?: unknown } | null)?.type))
        throw new Error('clients do not say that');
    } catch {
      this.close(4400, 'Invalid message received');
      return;
    }
    const handle = async () => {
      // It waited for its turn, and would now be opened for nobody.
      if (!this.isOpen) return;
      try {
        // graphql-ws takes a parsed message too.
        await listener(message as string);
      } catch (error) {
        this.#log.error({ requestId: this.#id, err: error }, 'a socket message failed');
        this.close(4500, 'Internal server error');
      }
    };
    if (!this.operations.take(Object(message), handle)) this.close(1008, 'too many messages wait for their turn');
  }

  // Resolves when the frame has been handed to the system, so that a slow client holds its own queue up.
  #send(frame: string): Promise<void> {
    if (!this.isOpen) return Promise.resolve();
    if (this.#ws.bufferedAmount > maxBufferedBytes) {
      this.terminate();
      return Promise.resolve();
    }
    const data = this.#marked.size > 0 ? this.#filled(frame) : frame;
    this.#countUnsent(data.length);
    return new Promise((resolve) =>
      this.#ws.send(data, () => {
        this.#countUnsent(-data.length);
        resolve();
      }),
    );
  }

  #countUnsent(characters: number): void {
    if (this.#isReleased) return;
    this.unsent += characters;
    this.#onUnsent(characters);
  }

  // A marker stands at the end of a frame only. No id can look like one: its quotes are escaped.
  #filled(frame: string): string {
    const found = /"type":"next","payload":(\{"~":(\d+)\})\}$/.exec(frame);
    const json = found && this.#marked.get(Number(found[2]));
    if (!found || json === undefined || json === null) return frame;
    this.#marked.delete(Number(found[2]));
    return `${frame.slice(0, frame.length - found[1]!.length - 1)}${json}}`;
  }
}

import WebSocket from 'ws';
import type { Json } from './app.ts';

interface Message {
  type: 'next' | 'error' | 'complete' | 'connection_ack';
  id?: string;
  payload?: Json;
}

/** A socket of graphql-transport-ws without a client library: it shows what the server says, refusals included. */
export class GraphSocket {
  /** The code it was closed with. */
  readonly closed: Promise<number>;
  readonly #ws: WebSocket;
  #messages: Message[] = [];
  #ids = 0;

  constructor(url: string) {
    this.#ws = new WebSocket(url, 'graphql-transport-ws');
    this.#ws.on('message', (data) => this.#messages.push(JSON.parse(String(data)) as Message));
    this.#ws.on('error', () => undefined);
    this.closed = new Promise((resolve) => this.#ws.once('close', resolve));
  }

  /** Connects as somebody. @returns undefined when it was let in, else the code it was closed with */
  async init(payload?: Record<string, unknown>): Promise<number | undefined> {
    await new Promise((resolve) => this.#ws.once('open', resolve));
    this.#ws.send(JSON.stringify({ type: 'connection_init', payload }));
    const answered = this.#until(({ type }) => type === 'connection_ack').then(() => undefined);
    return Promise.race([answered, this.closed]);
  }

  /** The first word about an operation; undefined when the socket was closed instead. */
  async first(query: string, variables?: Record<string, unknown>): Promise<Message | undefined> {
    return this.firstAbout(this.start(query, variables));
  }

  /** The first word about an operation that began. */
  async firstAbout(id: string): Promise<Message | undefined> {
    const answered = this.#until((message) => message.id === id);
    return Promise.race([answered, this.closed.then(() => undefined)]);
  }

  /** Begins an operation. @returns its id */
  start(query: string, variables?: Record<string, unknown>): string {
    const id = String(++this.#ids);
    this.#ws.send(JSON.stringify({ id, type: 'subscribe', payload: { query, variables } }));
    return id;
  }

  /** Ends an operation and forgets what came about it. */
  end(id: string): void {
    this.#ws.send(JSON.stringify({ id, type: 'complete' }));
    this.#messages = this.#messages.filter((message) => message.id !== id);
  }

  /** What came about an operation so far. */
  about(id: string): Message[] {
    return this.#messages.filter((message) => message.id === id);
  }

  close(): void {
    this.#ws.close();
  }

  async #until(wanted: (message: Message) => boolean): Promise<Message> {
    for (;;) {
      const found = this.#messages.find(wanted);
      if (found) return found;
      await new Promise((resolve) => this.#ws.once('message', resolve));
    }
  }
}

/** A socket that was let in. */
export async function openSocket(url: string, token: string): Promise<GraphSocket> {
  const socket = new GraphSocket(url);
  const code = await socket.init({ authorization: `Bearer ${token}` });
  if (code !== undefined) throw new Error(`the socket was closed with ${code}`);
  return socket;
}

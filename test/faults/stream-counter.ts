import { createHash } from 'node:crypto';
import { WebSocket } from 'ws';

const open = new Set<StreamCounter>();

/** Ends all of a file; call it in afterAll, before their gateways end. */
export function endCounters(): void {
  for (const counter of [...open]) counter.close();
}

export interface Stream {
  token: string;
  query: string;
  variables?: Record<string, unknown>;
}

/** A subscriber that parses nothing, so that hundreds of them fit beside the gateway: when what came, and one digest. */
export class StreamCounter {
  /** Monotonic ms of each event. */
  readonly arrivals: number[] = [];
  /** Whatever else it was told. */
  readonly faults: string[] = [];
  /** Resolves when the subscription was sent after a `connection_ack`. */
  readonly joined: Promise<void>;
  readonly closed: Promise<number>;
  readonly #socket: WebSocket;
  /** What came last. */
  last: Buffer = Buffer.alloc(0);
  #hash = createHash('sha256');

  constructor(wsUrl: string, { token, query, variables = {} }: Stream) {
    this.#socket = new WebSocket(wsUrl, 'graphql-transport-ws', { perMessageDeflate: false });
    const joined = Promise.withResolvers<void>();
    this.joined = joined.promise;
    const send = (frame: unknown) => this.#socket.send(JSON.stringify(frame));
    this.#socket.on('error', () => undefined);
    this.#socket.once('open', () => {
      send({ type: 'connection_init', payload: { authorization: `Bearer ${token}` } });
    });
    this.#socket.on('message', (data: Buffer) => {
      const begin = data.toString('latin1', 0, 60);
      if (begin.includes('"type":"next"')) {
        this.arrivals.push(performance.now());
        this.#hash.update(data);
        this.last = data;
      } else if (begin.includes('connection_ack')) {
        send({ id: '1', type: 'subscribe', payload: { query, variables } });
        joined.resolve();
      } else this.faults.push(String(data).slice(0, 300));
    });
    this.closed = new Promise((resolve) => {
      this.#socket.once('close', (code) => {
        open.delete(this);
        resolve(code);
      });
    });
    open.add(this);
  }

  /** The digest is of what comes from now on: nobody is told when a subscription begins. */
  startDigest(): void {
    this.#hash = createHash('sha256');
  }

  /** Of all that came since, in order. */
  get digest(): string {
    return this.#hash.copy().digest('hex');
  }

  close(): void {
    this.#socket.terminate();
  }
}

import { setTimeout as sleep } from 'node:timers/promises';
import { Histogram } from '../histogram.ts';
import { channelName } from '../load-data.ts';
import { Faults } from './faults.ts';
import { HttpConnection, requestHead } from './http-connection.ts';
import type { FanLoad, LoadResult, Phase } from './protocol.ts';
import { RawWebSocket } from './raw-websocket.ts';
import { webhookMessage } from './scripts.ts';

const subscription =
  'subscription { inbox { ... on MessageEvent { message { id content { ... on TextContent { text } } } } } }';
const connectAtOnce = 50;
/** After the last message everything must have come within this. */
const lastWithinMs = 10_000;
const digits = 8;

/**
 * Subscribes N times, posts messages by webhook and counts what comes at each subscriber: every message once. With a
 * rate the posts keep their times, whatever the answers do; without one they follow the deliveries.
 */
export async function fanOut(load: FanLoad, onPhase: (phase: Phase) => void): Promise<LoadResult> {
  const faults = new Faults();
  const run = new FanRun(load, faults);
  try {
    await run.subscribe();
    await run.connect();
    onPhase('begin');
    await run.during();
    await run.untilDelivered();
    onPhase('end');
    run.count();
  } finally {
    run.close();
  }
  return run.result();
}

class FanRun {
  readonly #load: FanLoad;
  readonly #faults: Faults;
  readonly #times = new Histogram();
  readonly #sockets: RawWebSocket[] = [];
  readonly #free: HttpConnection[] = [];
  readonly #connections: HttpConnection[] = [];
  readonly #head: string;
  readonly #mark: Buffer;
  /** When each message was to be posted. */
  readonly #postedAt: number[] = [];
  /** How often each subscriber got each message. */
  readonly #got: Uint8Array[] = [];
  #textAt = -1;
  #delivered = 0;
  #posted = 0;
  #answered = 0;
  #unitsInTime = 0;
  #deadline = Number.POSITIVE_INFINITY;
  #waiting: (() => void) | undefined;

  constructor(load: FanLoad, faults: Faults) {
    this.#load = load;
    this.#faults = faults;
    this.#head = requestHead('/sources.webhook', load.target.credentials.sourceToken);
    this.#mark = Buffer.from(`"text":"${load.prefix}-`);
  }

  async subscribe(): Promise<void> {
    const { port, credentials } = this.#load.target;
    for (let first = 0; first < this.#load.subscribers; first += connectAtOnce) {
      const count = Math.min(connectAtOnce, this.#load.subscribers - first);
      await Promise.all(
        Array.from({ length: count }, (_, index) => this.#open(port, credentials.userToken, first + index)),
      );
    }
    // The last ones may still be on their way into the group.
    await sleep(300);
  }

  async #open(port: number, token: string, index: number): Promise<void> {
    const socket = await RawWebSocket.open(port, '/graphql', 'graphql-transport-ws');
    this.#sockets.push(socket);
    this.#got[index] = new Uint8Array(1_024);
    socket.onClosed = (code) => this.#faults.add(`a subscriber was closed with ${code}`);
    const acknowledged = new Promise<void>((resolve) => socket.onFrame(() => resolve()));
    socket.send(JSON.stringify({ type: 'connection_init', payload: { authorization: `Bearer ${token}` } }));
    await acknowledged;
    socket.onFrame((data, from, to) => this.#receive(index, data, from, to));
    socket.send(JSON.stringify({ id: '1', type: 'subscribe', payload: { query: subscription } }));
  }

  async connect(): Promise<void> {
    for (let count = 0; count < this.#load.inFlight; count += 1) {
      const lost = (error: Error) => this.#faults.add(`connection: ${error.message}`);
      this.#connections.push(await HttpConnection.open(this.#load.target.port, lost));
    }
    this.#free.push(...this.#connections);
  }

  async during(): Promise<void> {
    const startedAt = performance.now();
    this.#deadline = startedAt + this.#load.seconds * 1_000;
    const { rate } = this.#load;
    if (rate === undefined) await this.#saturate();
    else await this.#keepTimes(startedAt, rate);
  }

  // A message is in flight until all subscribers have it: a driver that is behind must not look like a server that is.
  async #saturate(): Promise<void> {
    while (performance.now() < this.#deadline) {
      const inFlight = this.#posted - this.#delivered / this.#load.subscribers;
      if (inFlight < this.#load.inFlight && this.#free.length > 0) this.#post(performance.now());
      else await this.#news();
    }
  }

  async #keepTimes(startedAt: number, rate: number): Promise<void> {
    for (let dueAt = startedAt; dueAt < this.#deadline; dueAt += 1_000 / rate) {
      const waitMs = dueAt - performance.now();
      if (waitMs > 0) await sleep(waitMs);
      while (this.#free.length === 0 && performance.now() < this.#deadline) await sleep(1);
      if (this.#free.length > 0) this.#post(dueAt);
    }
  }

  #post(dueAt: number): void {
    const number = this.#posted;
    this.#posted += 1;
    this.#postedAt.push(dueAt);
    const connection = this.#free.pop()!;
    const conversation = 1 + Math.floor(Math.random() * this.#load.target.conversations);
    const id = `${this.#load.prefix}-${String(number).padStart(digits, '0')}`;
    const message = webhookMessage(id, `c${conversation}`, `s${conversation}`, channelName(conversation));
    connection.send(this.#head, `{"messages":[${message}]}`, (status, body) => {
      this.#faults.expect(status === 200, () => `webhook: ${status} ${body.toString()}`);
      this.#answered += 1;
      this.#free.push(connection);
      this.#awake();
    });
  }

  // An answer or a whole message; after the end of the slice nobody waits longer than this.
  #news(): Promise<void> {
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, 100);
      this.#waiting = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  }

  #awake(): void {
    const waiting = this.#waiting;
    this.#waiting = undefined;
    waiting?.();
  }

  #receive(subscriber: number, data: Buffer, from: number, to: number): void {
    const now = performance.now();
    const number = this.#numberIn(data, from, to);
    const postedAt = this.#postedAt[number];
    if (postedAt === undefined) {
      this.#faults.add(`a frame that is none of ours: ${data.toString('utf8', from, Math.min(to, from + 200))}`);
      return;
    }
    let got = this.#got[subscriber]!;
    if (number >= got.length) {
      const longer = new Uint8Array(Math.max(got.length * 2, number + 1));
      longer.set(got);
      this.#got[subscriber] = longer;
      got = longer;
    }
    got[number]! += 1;
    this.#delivered += 1;
    if (now <= this.#deadline) this.#unitsInTime += 1;
    this.#times.record(now - postedAt);
    if (this.#delivered % this.#load.subscribers === 0) this.#awake();
  }

  // All frames have one form: the number stands where it stood in the first.
  #numberIn(data: Buffer, from: number, to: number): number {
    if (
      this.#textAt < 0 ||
      data.compare(this.#mark, 0, this.#mark.length, from + this.#textAt, from + this.#textAt + this.#mark.length) !== 0
    ) {
      const found = data.subarray(from, to).indexOf(this.#mark);
      if (found < 0) return -1;
      this.#textAt = found;
    }
    let number = 0;
    const first = from + this.#textAt + this.#mark.length;
    for (let at = first; at < first + digits; at += 1) number = number * 10 + data[at]! - 48;
    return number;
  }

  /** Waits for what is on its way. */
  async untilDelivered(): Promise<void> {
    const expected = this.#posted * this.#load.subscribers;
    const until = performance.now() + lastWithinMs;
    while ((this.#delivered < expected || this.#answered < this.#posted) && performance.now() < until) await sleep(20);
  }

  /** Counts what is missing or came twice. */
  count(): void {
    const expected = this.#posted * this.#load.subscribers;
    let lost = 0;
    let doubled = 0;
    for (const got of this.#got) {
      for (let number = 0; number < this.#posted; number += 1) {
        if (!got[number]) lost += 1;
        else if (got[number]! > 1) doubled += 1;
      }
    }
    this.#faults.expect(lost === 0, () => `${lost} of ${expected} deliveries were lost`);
    this.#faults.expect(doubled === 0, () => `${doubled} deliveries came twice`);
  }

  close(): void {
    for (const socket of this.#sockets) socket.close();
    for (const connection of this.#connections) connection.close();
  }

  result(): LoadResult {
    return {
      units: this.#unitsInTime,
      seconds: this.#load.seconds,
      p50Ms: this.#times.quantile(0.5),
      p99Ms: this.#times.quantile(0.99),
      worked: this.#delivered,
      acknowledged: this.#posted,
      faults: this.#faults.count,
      examples: this.#faults.examples,
    };
  }
}

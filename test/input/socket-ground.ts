import { expect } from '@jest/globals';
import fc from 'fast-check';
import { type App, startApp } from '../support/app.ts';
import { bytesOf, opcodes, RawSocket } from '../support/raw-socket.ts';
import { until } from '../support/until.ts';
import { anyValue } from './values.ts';
import { expectNoInnards } from './watch.ts';

/** Close codes of the protocol, ours, and 0 for a line that was cut. */
const closeCodes = new Set([
  0, 1000, 1001, 1002, 1003, 1005, 1006, 1007, 1008, 1009, 1013, 4400, 4401, 4403, 4406, 4408, 4409, 4429,
]);

const bytes = fc.uint8Array({ maxLength: 300 }).map((array) => Buffer.from(array));
const anyFrame = fc
  .record({
    opcode: fc.constantFrom(0, 1, 1, 1, 2, 3, 7, 8, 9, 10, 11, 15),
    payload: fc.oneof(bytes, fc.constantFrom('{"type":"ping"}', '{"type":"connection_init"}', '{', '')),
    fin: fc.boolean(),
    reserved: fc.constantFrom(0, 0, 0, 0, 1, 2, 4, 7),
    masked: fc.constantFrom(true, true, true, false),
  })
  .map(bytesOf);

/** Frames of all kinds, whole and broken, with bytes between them. */
export const frames: fc.Arbitrary<Buffer[]> = fc.array(fc.oneof({ weight: 5, arbitrary: anyFrame }, bytes), {
  minLength: 1,
  maxLength: 8,
});

const types = ['connection_init', 'subscribe', 'complete', 'ping', 'pong', 'next', 'error', 'connection_ack', '', 'x'];
const queries = [
  '{__typename}',
  '{viewer{id}}',
  'subscription{inbox{__typename}}',
  'mutation{',
  '{',
  'query A{a}',
  '#',
];
const message = fc
  .record(
    {
      type: fc.oneof({ weight: 5, arbitrary: fc.constantFrom<unknown>(...types) }, anyValue),
      id: fc.oneof({ weight: 5, arbitrary: fc.constantFrom<unknown>('1', '2', '__proto__') }, anyValue),
      payload: fc.oneof(
        { weight: 3, arbitrary: fc.record({ query: fc.constantFrom(...queries) }) },
        {
          weight: 1,
          arbitrary: fc.record(
            {
              query: fc.oneof(fc.constantFrom<unknown>(...queries), anyValue),
              variables: anyValue,
              operationName: anyValue,
              extensions: anyValue,
            },
            { requiredKeys: [] },
          ),
        },
        { weight: 1, arbitrary: anyValue },
      ),
    },
    { requiredKeys: [] },
  )
  .map((value) => bytesOf({ opcode: opcodes.text, payload: JSON.stringify(value) }));

/** Frames that are whole, with messages that nearly belong to the protocol. */
export const messages: fc.Arbitrary<Buffer[]> = fc.array(message, { minLength: 1, maxLength: 8 });

/** A Parley, and somebody who may connect to it. */
export class SocketGround {
  readonly app: App;
  readonly token: string;
  readonly #rejections: unknown[] = [];

  static async start(): Promise<SocketGround> {
    const app = await startApp();
    return new SocketGround(app, (await app.make.user()).token);
  }

  private constructor(app: App, token: string) {
    this.app = app;
    this.token = token;
    process.on('unhandledRejection', (reason) => this.#rejections.push(reason));
  }

  /** A raw socket that was let in. */
  async opened(): Promise<RawSocket> {
    const { socket } = await RawSocket.open(this.app.wsUrl);
    socket.text({ type: 'connection_init', payload: { authorization: `Bearer ${this.token}` } });
    await until(async () => Buffer.concat(socket.received).includes('connection_ack'));
    socket.received.length = 0;
    return socket;
  }

  /** Waits until a query is answered on a socket, so that all before it was read. */
  async answersOn(socket: RawSocket): Promise<void> {
    socket.text({ type: 'subscribe', id: 'answers', payload: { query: '{ answered: __typename }' } });
    await until(async () => Buffer.concat(socket.received).includes('"answered"'));
  }

  /** Sends all at once, then the end, and looks at how the server took it. */
  async throwAt(isLetIn: boolean, sent: Buffer[]): Promise<void> {
    const socket = isLetIn ? await this.opened() : (await RawSocket.open(this.app.wsUrl)).socket;
    for (const chunk of sent) socket.tcp.write(chunk);
    // Whoever was not closed for what it sent is closed for this.
    socket.send({ opcode: 3 });
    setTimeout(() => socket.tcp.end(), 200);
    const code = await socket.closed();
    expect(closeCodes).toContain(code);
    expectNoInnards(String(Buffer.concat(socket.received)));
    expect(this.#rejections).toEqual([]);
  }

  /** Whether the server answers others as ever, and has nothing to say to people. */
  async isWell(): Promise<boolean> {
    const { body } = await this.app.graphql('{ viewer { role } }', undefined, { token: this.token });
    const faults = this.app.logged.filter((line) => JSON.parse(line).level >= 50);
    expect(faults).toEqual([]);
    return body.data?.viewer.role === 'AGENT';
  }
}

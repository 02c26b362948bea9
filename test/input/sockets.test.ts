import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import type { App } from '../support/app.ts';
import { openSocket } from '../support/graph-socket.ts';
import { bytesOf, opcodes, RawSocket } from '../support/raw-socket.ts';
import { until } from '../support/until.ts';
import { frames, messages, SocketGround } from './socket-ground.ts';
import { memory } from './watch.ts';

const seed = 20_261_120;

describe(`sockets that do not keep to the protocol (seed ${seed})`, () => {
  let ground: SocketGround;
  let app: App;
  let token: string;
  beforeAll(async () => {
    ground = await SocketGround.start();
    ({ app, token } = ground);
  });
  afterAll(() => app.stop());
  const opened = () => ground.opened();

  it.each<[string, Record<string, string>, number[]]>([
    ['no key', { 'sec-websocket-key': '' }, [400]],
    ['a key of another length', { 'sec-websocket-key': 'x' }, [400]],
    ['another version', { 'sec-websocket-version': '12' }, [400, 426]],
    ['a version that is none', { 'sec-websocket-version': '13, 13' }, [400, 426]],
    ['a broken list of subprotocols', { 'sec-websocket-protocol': 'graphql-transport-ws,,' }, [400]],
    ['a subprotocol twice', { 'sec-websocket-protocol': 'graphql-transport-ws, graphql-transport-ws' }, [400]],
    ['another upgrade', { upgrade: 'h2c' }, [400, 404, 200]],
    ['broken extensions', { 'sec-websocket-extensions': ';;=' }, [101, 400]],
  ])('an upgrade with %s is no socket', async (_what, headers, statuses) => {
    const { status, socket } = await RawSocket.open(app.wsUrl, headers);
    expect(statuses).toContain(status);
    socket.destroy();
  });

  it.each([[''], ['graphql-ws'], ['soap, mqtt']])('4406 with the subprotocol %j', async (protocol) => {
    const { status, socket } = await RawSocket.open(app.wsUrl, { 'sec-websocket-protocol': protocol });
    // Refused at once, or let in only to be told why.
    if (status === 101) expect(await socket.closed()).toBe(4406);
    else expect(status).toBe(400);
  });

  it.each<[number, string, Parameters<RawSocket['send']>[0]]>([
    [1002, 'a reserved bit', { opcode: opcodes.text, payload: '{"type":"ping"}', reserved: 4 }],
    [1002, 'an opcode that is none', { opcode: 3, payload: 'x' }],
    [1002, 'a frame without a mask', { opcode: opcodes.text, payload: '{"type":"ping"}', masked: false }],
    [1002, 'more of nothing', { opcode: opcodes.more, payload: 'x' }],
    [1002, 'a ping in parts', { opcode: opcodes.ping, payload: 'x', fin: false }],
    [1002, 'a ping over 125 bytes', { opcode: opcodes.ping, payload: 'x'.repeat(126) }],
    [1002, 'a close of one byte', { opcode: opcodes.close, payload: 'x' }],
    [1002, 'a close with a code that is none', { opcode: opcodes.close, payload: Buffer.from([0, 1]) }],
    [1007, 'bad UTF-8', { opcode: opcodes.text, payload: Buffer.from([0x22, 0xff, 0x22]) }],
    [1009, 'a length of 1 MB', { opcode: opcodes.text, payload: 'x', length: 1_000_000 }],
    [1009, 'a length of 2^40', { opcode: opcodes.text, payload: 'x', length: 2 ** 40 }],
    [1009, 'a length beyond 2^53', { opcode: opcodes.text, payload: 'x', length: 2 ** 60 }],
    [4400, 'a binary frame', { opcode: opcodes.binary, payload: '{"type":"ping"}' }],
    [4400, 'an empty frame', { opcode: opcodes.text }],
  ])('%i on %s', async (code, _what, frame) => {
    const socket = await opened();
    socket.send(frame);
    expect(await socket.closed()).toBe(code);
  });

  it.each<[number, string, unknown]>([
    [4400, 'a number', 1],
    [4400, 'null', null],
    [4400, 'a text', '"ping"'],
    [4400, 'no id', { type: 'subscribe', payload: { query: '{__typename}' } }],
    [4400, 'an empty id', { type: 'subscribe', id: '', payload: { query: '{__typename}' } }],
    [4400, 'an id that is a number', { type: 'subscribe', id: 1, payload: { query: '{__typename}' } }],
    [4400, 'no payload', { type: 'subscribe', id: '1' }],
    [4400, 'a query that is no text', { type: 'subscribe', id: '1', payload: { query: { $ne: null } } }],
    [
      4400,
      'an operation name that is no text',
      { type: 'subscribe', id: '1', payload: { query: '{a}', operationName: 1 } },
    ],
    [4400, 'extensions that are no object', { type: 'subscribe', id: '1', payload: { query: '{a}', extensions: 'x' } }],
    [4400, 'a ping whose payload is no object', { type: 'ping', payload: 'x' }],
    [4400, 'a type of the server', { type: 'connection_ack' }],
    [4400, 'a result from the client', { type: 'next', id: '1', payload: {} }],
    [4400, 'a type of the prototype', { type: 'constructor' }],
    [4429, 'a second connection_init', { type: 'connection_init' }],
  ])('%i on %s', async (code, _what, message) => {
    const socket = await opened();
    socket.text(message);
    expect(await socket.closed()).toBe(code);
  });

  it('4409 on an id of the prototype only when it is used twice', async () => {
    const socket = await openSocket(app.wsUrl, token);
    socket.close();
    const raw = await opened();
    const inbox = { query: 'subscription { inbox { __typename } }' };
    for (const id of ['__proto__', 'constructor', 'toString']) raw.text({ type: 'subscribe', id, payload: inbox });
    raw.text({ type: 'complete', id: 'hasOwnProperty' });
    await ground.answersOn(raw);
    raw.text({ type: 'subscribe', id: '__proto__', payload: inbox });
    expect(await raw.closed()).toBe(4409);
  });

  it('4400 when connection_init brings a list, 4401 when anything else comes first', async () => {
    const { socket } = await RawSocket.open(app.wsUrl);
    socket.text({ type: 'connection_init', payload: [] });
    expect(await socket.closed()).toBe(4400);
    const other = (await RawSocket.open(app.wsUrl)).socket;
    // What there is to end before anything began is ignored.
    other.text({ type: 'complete', id: '1' });
    other.text({ type: 'subscribe', id: '1', payload: { query: '{__typename}' } });
    expect(await other.closed()).toBe(4401);
  });

  it('1009 on a message in parts that together are over 100 kB, however small each is', async () => {
    const socket = await opened();
    socket.send({ opcode: opcodes.text, payload: '"', fin: false });
    for (let part = 0; part < 60; part += 1) {
      socket.send({ opcode: opcodes.more, payload: 'x'.repeat(2_000), fin: false });
    }
    expect(await socket.closed()).toBe(1009);
  });

  it('a message in parts that never ends holds up nobody, pings between its parts are answered', async () => {
    const sockets = await Promise.all(Array.from({ length: 20 }, opened));
    for (const socket of sockets) {
      socket.send({ opcode: opcodes.text, payload: '{"type":', fin: false });
      socket.send({ opcode: opcodes.more, payload: 'x'.repeat(90_000), fin: false });
      socket.send({ opcode: opcodes.ping, payload: 'still here' });
    }
    for (const socket of sockets) {
      await until(async () => Buffer.concat(socket.received).includes('still here'));
    }
    expect(await ground.isWell()).toBe(true);
    for (const socket of sockets) socket.destroy();
  });

  it('a flood of pings is answered to who reads', async () => {
    const socket = await opened();
    const count = 5_000;
    for (let index = 0; index < count; index += 1) socket.text('{"type":"ping"}');
    await until(async () => String(Buffer.concat(socket.received)).split('pong').length - 1 === count);
    socket.destroy();
  });

  it('who floods with pings and does not read is cut, before it costs memory', async () => {
    const before = memory();
    const flood = Buffer.concat(
      Array.from({ length: 4_000 }, () => bytesOf({ opcode: opcodes.ping, payload: 'x'.repeat(125) })),
    );
    const socket = await opened();
    socket.tcp.pause();
    let isCut = false;
    socket.tcp.once('error', () => (isCut = true)).once('close', () => (isCut = true));
    // 0.5 MB each.
    for (let sent = 0; sent < 200 && !isCut; sent += 1) {
      await Promise.race([
        new Promise((resolve) => socket.tcp.write(flood, resolve)),
        until(async () => isCut, 30_000),
      ]);
    }
    expect(isCut).toBe(true);
    expect(memory() - before).toBeLessThan(64);
    expect(await ground.isWell()).toBe(true);
  }, 120_000);

  it('no bytes at all do any harm', async () => {
    await fc.assert(
      fc.asyncProperty(fc.boolean(), frames, (isLetIn, sent) => ground.throwAt(isLetIn, sent)),
      { seed, numRuns: 60 },
    );
    expect(await ground.isWell()).toBe(true);
  }, 120_000);

  it('nor do messages put together at random', async () => {
    await fc.assert(
      fc.asyncProperty(fc.boolean(), messages, (isLetIn, sent) => ground.throwAt(isLetIn, sent)),
      { seed, numRuns: 60 },
    );
    expect(await ground.isWell()).toBe(true);
  }, 120_000);
});

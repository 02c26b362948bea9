import { type AddressInfo, createServer, type Socket } from 'node:net';
import { afterEach, describe, expect, it } from '@jest/globals';
import { createOutboundHttp, OutboundFault, type OutboundRequest } from '../../src/domain/outbound-http.ts';

const ends: (() => unknown)[] = [];
afterEach(async () => {
  for (const end of ends.splice(0).reverse()) await end();
});

/** What a peer does with a request; `nth` counts those of its connection. */
type Answer = (socket: Socket, nth: number, connection: number) => void;

const ok = (socket: Socket) => socket.write('HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok');
const reset = (socket: Socket) => socket.resetAndDestroy();
const end = (socket: Socket) => socket.end();

async function peerWith(answer: Answer) {
  const requests: [connection: number, nth: number][] = [];
  let connections = 0;
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    connections += 1;
    const connection = connections;
    let nth = 0;
    sockets.add(socket);
    socket.on('error', () => undefined);
    socket.on('data', () => {
      nth += 1;
      requests.push([connection, nth]);
      answer(socket, nth, connection);
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  const http = createOutboundHttp({ allow: [`127.0.0.1:${port}`] });
  ends.push(() => {
    for (const socket of sockets) socket.destroy();
    return new Promise((resolve) => server.close(resolve));
  });
  ends.push(() => http.close());
  const call = async (more: Partial<OutboundRequest> = {}) => {
    const request = { method: 'POST', body: '{}', timeoutMs: 5_000, maxAnswerBytes: 1_000, ...more } as const;
    const result = await http.call({ url: `http://127.0.0.1:${port}/`, ...request }).then(
      ({ status }) => status,
      (fault: OutboundFault) => fault.kind,
    );
    // The pool takes a connection back one turn of the event loop after its answer.
    await new Promise((resolve) => setImmediate(resolve));
    return result;
  };
  return { requests, call };
}

describe('a kept connection that ends as the next call is sent', () => {
  it.each<[string, (socket: Socket) => unknown]>([
    ['by a reset', reset],
    ['by its end', end],
  ])('%s: a call that may be repeated goes out once more, on a new one', async (_how, breakOff) => {
    const peer = await peerWith((socket, nth) => (nth === 1 ? ok(socket) : breakOff(socket)));

    expect(await peer.call({ isRepeatable: true })).toBe(200);
    expect(await peer.call({ isRepeatable: true })).toBe(200);
    expect(peer.requests).toEqual([
      [1, 1],
      [1, 2],
      [2, 1],
    ]);
  });

  it('fails a call that may not be repeated', async () => {
    const peer = await peerWith((socket, nth) => (nth === 1 ? ok(socket) : reset(socket)));

    expect([await peer.call(), await peer.call()]).toEqual([200, 'reset']);
    expect(peer.requests).toHaveLength(2);
  });

  it('fails a call whose new connection ends too', async () => {
    const peer = await peerWith((socket, nth, connection) =>
      nth === 1 && connection === 1 ? ok(socket) : reset(socket),
    );

    expect([await peer.call({ isRepeatable: true }), await peer.call({ isRepeatable: true })]).toEqual([200, 'reset']);
    expect(peer.requests).toHaveLength(3);
  });

  it('fails a call whose answer had begun', async () => {
    const peer = await peerWith((socket, nth) =>
      nth === 1 ? ok(socket) : socket.write('HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\no', () => reset(socket)),
    );

    expect([await peer.call({ isRepeatable: true }), await peer.call({ isRepeatable: true })]).toEqual([200, 'reset']);
    expect(peer.requests).toHaveLength(2);
  });
});

it('fails a call at once whose first connection ends without an answer', async () => {
  const peer = await peerWith(reset);

  expect(await peer.call({ isRepeatable: true })).toBe('reset');
  expect(peer.requests).toHaveLength(1);
});

it('ends with the time of the whole call, the second try included', async () => {
  const peer = await peerWith((socket, nth, connection) => {
    if (connection === 1) nth === 1 ? ok(socket) : reset(socket);
  });
  await peer.call({ isRepeatable: true });
  const startedAt = performance.now();

  expect(await peer.call({ isRepeatable: true, timeoutMs: 200 })).toBe('timeout');
  expect(performance.now() - startedAt).toBeLessThan(1_500);
  expect(peer.requests).toHaveLength(3);
});

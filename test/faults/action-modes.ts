import { once } from 'node:events';
import type { ServerResponse } from 'node:http';
import type { AddressInfo, Server, Socket } from 'node:net';
import { setImmediate as turn } from 'node:timers/promises';
import { createServer as createTlsServer } from 'node:tls';
import { gzipSync } from 'node:zlib';
import { afterAll } from '@jest/globals';
import type { ActionEndpoint, Answer } from '../support/action-endpoint.ts';
import { cert, key } from '../support/self-signed.ts';
import { freePort } from './gateway-process.ts';

/** A way in which an action endpoint can be bad, and what is promised then. */
export interface ActionMode {
  name: string;
  /** What each call is answered with. */
  answer?: () => Answer;
  /** Where the calls go, when it is not to the endpoint of the run. */
  url?: (peers: BadPeers) => string;
  /** FAILED at once, or RETRIED until the attempts are used up. */
  outcome: 'FAILED' | 'RETRIED';
  /** The code of the failure. */
  code: string;
  /** The text of the failure, where it is the endpoint's own. */
  text?: string;
  /** Each attempt takes the whole time of an exchange. */
  isSlow?: true;
}

/** Of a machine outside, which nobody must call. */
export const publicTarget = '93.184.216.34';

const MiB = 1024 * 1024;
const bomb = gzipSync(Buffer.alloc(64 * MiB));
const block = Buffer.alloc(64 * 1024, ' ');

/** Bytes that bad answers got rid of: the kernels of both sides hold some of them. */
export const poured = { bytes: 0 };

async function pour(response: ServerResponse, bytes: number): Promise<void> {
  for (let sent = 0; sent < bytes && !response.destroyed; sent += block.length) {
    poured.bytes += block.length;
    if (!response.write(block)) await Promise.race([once(response, 'drain'), once(response, 'close')]);
    await turn();
  }
  response.end();
}

function drip(response: ServerResponse): void {
  response.writeHead(200, { 'content-type': 'application/json' });
  const timer = setInterval(() => response.write(' '), 1_000);
  response.once('close', () => clearInterval(timer));
}

const redirects = (target: 'loopback' | 'public', to: string): ActionMode[] =>
  [301, 302, 307].map((status) => ({
    name: `${status} to ${target}`,
    answer: () => ({ status, headers: { location: to } }),
    outcome: 'FAILED',
    code: `http_${status}`,
  }));

const failed = (name: string, code: string, answer: () => Answer): ActionMode => ({
  name,
  code,
  answer,
  outcome: 'FAILED',
});
const retried = (name: string, code: string, answer: () => Answer): ActionMode => ({
  name,
  code,
  answer,
  outcome: 'RETRIED',
});

/** The modes of F3. `redirectTarget`: an address on the loopback that may be called, and must not be. */
export const actionModes = (redirectTarget: string): ActionMode[] => [
  { name: 'refused', url: ({ closedPort }) => `http://127.0.0.1:${closedPort}/`, outcome: 'RETRIED', code: 'connect' },
  { name: 'NXDOMAIN', url: () => 'http://nowhere.invalid/hook', outcome: 'RETRIED', code: 'dns' },
  { ...retried('accepts and hangs', 'timeout', () => () => undefined), isSlow: true },
  {
    ...retried('headers, then hangs', 'timeout', () => (response) => {
      response.writeHead(200, { 'content-length': '1000' }).flushHeaders();
    }),
    isSlow: true,
  },
  { ...retried('1 byte a second', 'timeout', () => drip), isSlow: true },
  retried('500', 'http_500', () => ({ status: 500 })),
  retried('503 and Retry-After: 2', 'http_503', () => ({ status: 503, headers: { 'retry-after': '2' } })),
  retried('429', 'http_429', () => ({ status: 429 })),
  failed('410', 'http_410', () => ({ status: 410 })),
  {
    ...failed('404 and its error', 'http_404', () => ({ status: 404, body: { error: 'no such user' } })),
    text: 'no such user',
  },
  ...redirects('loopback', redirectTarget),
  ...redirects('public', `http://${publicTarget}/`),
  failed('200 without JSON', 'bad_answer', () => ({ body: 'OK' })),
  failed('200 and nothing', 'bad_answer', () => ({ body: '' })),
  failed('200 and 100 MB', 'too-large', () => (response) => {
    response.writeHead(200, { 'content-length': String(100 * MiB) });
    void pour(response, 100 * MiB);
  }),
  failed('a gzip bomb', 'too-large', () => ({ headers: { 'content-encoding': 'gzip' }, body: bomb })),
  failed('endless chunks', 'too-large', () => (response) => void pour(response, Number.POSITIVE_INFINITY)),
  retried('a content-length that is too long', 'reset', () => (response) => {
    response.writeHead(200, { 'content-length': '1000' });
    response.write('{"source_message_id":', () => response.socket?.end());
  }),
  failed('a content-length that is too short', 'bad_answer', () => (response) => {
    const body = '{"source_message_id":"theirs"}';
    response.socket?.end(`HTTP/1.1 200 OK\r\ncontent-length: ${body.length - 9}\r\n\r\n${body}`);
  }),
  retried('reset', 'reset', () => (response) => void response.socket?.resetAndDestroy()),
  { name: 'a bad certificate', url: ({ tlsPort }) => `https://127.0.0.1:${tlsPort}/`, outcome: 'RETRIED', code: 'tls' },
  failed('no source_message_id', 'bad_answer', () => ({ body: { metadata: { a: 1 } } })),
  failed('a source_message_id of 1 MB', 'too-large', () => ({ body: { source_message_id: 'x'.repeat(MiB) } })),
  {
    ...failed('an error of 5,000 characters', 'http_400', () => ({ status: 400, body: { error: 'ü'.repeat(5_000) } })),
    text: 'ü'.repeat(512),
  },
];

/** Peers of the modes that are no HTTP server of ours. */
export interface BadPeers {
  closedPort: number;
  tlsPort: number;
  /** What OUTBOUND_ALLOW must open. */
  hostPorts: string[];
}

const ends: (() => unknown)[] = [];
afterAll(() => {
  for (const end of ends.splice(0)) end();
});

/** Ended after the file's tests. */
export async function startBadPeers(): Promise<BadPeers> {
  const sockets = new Set<Socket>();
  const server: Server = createTlsServer({ key, cert }).on('tlsClientError', () => undefined);
  server.on('connection', (socket) => {
    sockets.add(socket.on('error', () => undefined).once('close', () => sockets.delete(socket)));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  ends.push(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  const tlsPort = (server.address() as AddressInfo).port;
  const closedPort = await freePort();
  return { closedPort, tlsPort, hostPorts: [closedPort, tlsPort].map((port) => `127.0.0.1:${port}`) };
}

/** The address that a mode's source is registered with. */
export function urlOf(mode: ActionMode, endpoint: ActionEndpoint, peers: BadPeers) {
  const { answer } = mode;
  const route = endpoint.route(answer && (() => answer()));
  return { route, url: mode.url?.(peers) ?? route.url };
}

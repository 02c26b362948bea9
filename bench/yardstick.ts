/**
 * What "fast" means here: bare node:http, pg and ws, one hand-written statement a request, the same tables and the same
 * JSON as the gateway. A process of its own; its parent sends a `YardstickConfig` and gets the port.
 */
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { YardstickConfig } from './contestants.ts';
import { createIngest } from './yardstick/ingest.ts';
import { createPool } from './yardstick/pool.ts';
import { createReads } from './yardstick/reads.ts';
import { createSend } from './yardstick/send.ts';
import { createBroadcast } from './yardstick/sockets.ts';

type Route = { token: string; answer: (body: string) => Promise<string> | string };

process.once('message', (config: YardstickConfig) => void serve(config));
process.once('disconnect', () => process.exit(0));
process.once('SIGTERM', () => process.exit(0));

async function serve(config: YardstickConfig): Promise<void> {
  const { sourceToken, userToken, sourceId } = config.credentials;
  const { databaseUrl: url, connections: size } = config;
  const pool = createPool({ url, size, bitmapScans: false });
  const bitmapPool = createPool({ url, size, bitmapScans: true });
  const [source] = await pool.read('source', 'select id from source where source_id = $1', [sourceId]);
  const broadcast = createBroadcast();
  const ingest = createIngest({ pool, source: { id: source![0]!, name: sourceId }, mode: config.mode, broadcast });
  const reads = createReads({ pool, bitmapPool });
  const send = createSend(pool, config);
  const routes = new Map<string, Route>([
    ['/sources.webhook', { token: sourceToken, answer: ingest }],
    ['/conversations.list', { token: userToken, answer: reads.conversations }],
    ['/messages.list', { token: userToken, answer: reads.messages }],
    ['/messages.send', { token: userToken, answer: send }],
  ]);
  const server = createServer((request, response) => handle(routes, request, response));
  server.keepAliveTimeout = 60_000;
  server.on('upgrade', broadcast.accept);
  server.listen(0, '127.0.0.1', () => process.send?.({ port: (server.address() as AddressInfo).port }));
}

function handle(routes: Map<string, Route>, request: IncomingMessage, response: ServerResponse): void {
  const route = routes.get(request.url ?? '');
  const chunks: Buffer[] = [];
  request.on('data', (chunk: Buffer) => chunks.push(chunk));
  request.on('end', () => {
    if (!route) return reply(response, 404, '{}');
    if (request.headers.authorization !== `Bearer ${route.token}`) return reply(response, 403, '');
    const body = chunks.length === 1 ? chunks[0]!.toString() : Buffer.concat(chunks).toString();
    void answer(route, body, response);
  });
}

async function answer(route: Route, body: string, response: ServerResponse): Promise<void> {
  try {
    reply(response, 200, await route.answer(body));
  } catch (error) {
    console.error(error);
    reply(response, 500, '{}');
  }
}

function reply(response: ServerResponse, status: number, body: string): void {
  response.writeHead(status, {
    'content-type': 'application/json; charset=utf-8',
    'content-length': Buffer.byteLength(body),
  });
  response.end(body);
}

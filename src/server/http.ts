import type { Server, ServerResponse } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import cors from '@fastify/cors';
import fastify, {
  type FastifyError,
  type FastifyInstance,
  type FastifyReply,
  type FastifyRequest,
  LogController,
} from 'fastify';
import type { DatabaseStatus } from '../domain/context.ts';
import type { Core, Graph } from '../graphql/execute.ts';
import type { Live } from '../graphql/live.ts';
import type { RestRoute } from '../rest/run-row.ts';
import { createAdmission } from './admission.ts';
import { requestIdOf } from './caller.ts';
import { graphqlRoute } from './graphql-route.ts';
import { healthRoutes } from './health.ts';
import { isForUs, misdirected } from './host-name.ts';
import { hasBody, lingering } from './json-body.ts';
import type { Metrics } from './metrics.ts';
import { metricsRoute } from './metrics-route.ts';
import { pageRoutes } from './pages.ts';
import { restRoutes } from './rest-routes.ts';
import { serverRoutes } from './routes-table.ts';
import { traceRequests } from './tracing.ts';
import type { Vitals } from './vitals.ts';
import { createSockets } from './websocket.ts';

declare module 'fastify' {
  interface FastifyContextConfig {
    /** The handler reads the body itself, with its own limit. */
    readsBody?: boolean;
  }
}

export interface ServerParts {
  core: Core;
  status: DatabaseStatus;
  metrics: Metrics;
  vitals: Vitals;
  /** Without it only health and metrics are served, as by a worker. */
  api?: ApiParts;
}

export interface ApiParts {
  graph: Graph;
  live: Live;
  restRoutes: readonly RestRoute[];
  /** What they are, as OpenAPI in JSON. */
  openApi(): string;
  /** The built pages; may be absent. */
  webDir: string;
}

export interface HttpServer {
  /** Listens on `HOST` and `PORT`. @returns the port, which `PORT=0` leaves to the system */
  listen(): Promise<number>;
  /**
   * Ready answers 503 at once, requests in flight finish, sockets close with 1001; 10 s at most. New requests are taken
   * for `lingerMs`, and while others are in flight, 3 s at most: a balancer must hear that we are not ready, and a port
   * that is closed tells it nothing.
   */
  stop(lingerMs?: number): Promise<void>;
}

/** A connection that says nothing for so long is closed. Together below 15 s, with the interval of the check. */
const times = { headersMs: 10_000, requestMs: 12_000, idleMs: 12_000, keepAliveMs: 10_000, checkMs: 1_000 } as const;
/** So many may come between two turns of the event loop: all clients of a process that was away come back together. */
const waitingConnections = 4_096;
const maxHeaderBytes = 16 * 1024;
const maxHeaders = 200;
const stopMs = 10_000;
/** While stopping: so long the port stays open at most. */
const longestLingerMs = 3_000;
/** While stopping: who has sent no whole request by then is not waited for. */
const silentMs = 1_000;

/** The whole front of the gateway: GraphQL, the older contracts, health, metrics and pages on one port. */
export async function createHttpServer(parts: ServerParts): Promise<HttpServer> {
  const { core, api, metrics, vitals } = parts;
  let isDraining = false;
  const app = fastify({
    loggerInstance: core.log,
    // Its own lines name the address with the query, which may hold a document.
    logController: new LogController({ disableRequestLogging: true }),
    genReqId: requestIdOf,
    requestIdHeader: false,
    return503OnClosing: false,
    forceCloseConnections: false,
    connectionTimeout: times.idleMs,
    keepAliveTimeout: times.keepAliveMs,
    requestTimeout: times.requestMs,
    http: {
      maxHeaderSize: maxHeaderBytes,
      headersTimeout: times.headersMs,
      connectionsCheckingInterval: times.checkMs,
      shouldUpgradeCallback: (request) => request.headers.upgrade?.toLowerCase() === 'websocket',
    },
    clientErrorHandler: answerClientError,
    // Addresses that no router takes; its own answer has another shape and none of our headers.
    frameworkErrors: (_error: unknown, { id }: FastifyRequest, reply: FastifyReply) => {
      void reply.code(400).headers(headersOfAll(id)).send({ message: 'this address is not valid' });
    },
  }) as unknown as FastifyInstance;
  // Handlers read bodies themselves: what nobody reads is never collected.
  app.removeAllContentTypeParsers();
  app.addContentTypeParser('*', (_request, _payload, done) => done(null, undefined));
  app.server.maxHeadersCount = 0;
  const connections = watchConnections(app);

  if (core.settings.otlpEndpoint) traceRequests(app);
  app.addHook('onRequest', async (request, reply) => {
    reply.headers(headersOfAll(request.id));
    if (!isForUs(request.raw, core.settings)) return reply.code(misdirected.status).send(misdirected.body);
    // Without a body its type does not matter, not even to Fastify.
    if (!hasBody(request.raw)) delete request.raw.headers['content-type'];
    if (request.raw.rawHeaders.length / 2 > maxHeaders) {
      return reply
        .code(431)
        .header('connection', 'close')
        .send({ message: `at most ${maxHeaders} headers are taken` });
    }
    // The router decodes %2e and the like; one path has one spelling here.
    if (/[%\\]|\/\//.test(pathOf(request.raw.url))) return reply.callNotFound();
  });
  // After a refusal the rest of the body may still be on its way: it is not kept, so the connection cannot go on.
  app.addHook('onSend', async ({ raw }, reply, payload) => {
    if (isDraining) reply.header('connection', 'close');
    if (!hasBody(raw) || raw.complete || typeof payload !== 'string') return payload;
    reply.headers({ connection: 'close', 'content-length': Buffer.byteLength(payload) });
    return lingering(payload, raw);
  });
  app.addHook('onResponse', async (request, reply) => {
    const route = request.is404 ? undefined : request.routeOptions.url;
    metrics.answered(route, reply.statusCode, reply.elapsedTime);
    // On a developer's screen only what went wrong stands out; operators get every request.
    const level = core.settings.isProduction || reply.statusCode >= 400 ? 'info' : 'debug';
    core.log[level](
      {
        requestId: request.id,
        method: request.method,
        route,
        status: reply.statusCode,
        ms: Math.round(reply.elapsedTime * 10) / 10,
      },
      'request',
    );
  });

  if (core.settings.corsOrigins.length > 0) {
    await app.register(cors, {
      origin: core.settings.corsOrigins,
      methods: ['GET', 'POST'],
      allowedHeaders: ['authorization', 'content-type', 'idempotency-key', 'x-request-id', 'x-requested-with'],
      exposedHeaders: ['retry-after', 'ratelimit-limit', 'ratelimit-remaining', 'ratelimit-reset', 'x-request-id'],
      maxAge: 600,
    });
  }
  const admission = createAdmission();
  const sockets = api && createSockets({ core, graph: api.graph, live: api.live, admission });
  healthRoutes(app, { core, status: parts.status, vitals, isDraining: () => isDraining });
  metricsRoute(app, { core, read: () => metrics.read(vitals, sockets) });
  if (api) {
    graphqlRoute(app, { core, graph: api.graph, admission });
    restRoutes(app, { core, routes: api.restRoutes, admission });
    await pageRoutes(app, { webDir: api.webDir, openApi: api.openApi, isProduction: core.settings.isProduction });
  }
  answerTheRest(app, parts);

  app.server.on('upgrade', (request, socket, head) => {
    connections.forget(request.socket);
    if (isDraining)
      socket.end(
        'HTTP/1.1 503 Service Unavailable\r\nretry-after: 5\r\nconnection: close\r\ncontent-length: 0\r\n\r\n',
      );
    else if (!sockets || pathOf(request.url) !== '/graphql')
      socket.end('HTTP/1.1 404 Not Found\r\nconnection: close\r\ncontent-length: 0\r\n\r\n');
    else if (!isForUs(request, core.settings))
      socket.end(handWritten(misdirected.status, 'Misdirected Request', misdirected.body));
    else sockets.accept(request, socket, head);
  });
  await app.ready();

  return {
    async listen() {
      const { host, port } = core.settings;
      await app.listen({ host, port, backlog: waitingConnections, listenTextResolver: () => 'listening' });
      return (app.server.address() as AddressInfo).port;
    },
    async stop(lingerMs = 0) {
      if (isDraining) return;
      isDraining = true;
      const server: Server = app.server;
      const cut = setTimeout(() => server.closeAllConnections(), stopMs - 1_000);
      // A connection becomes idle when its last answer is out, not when the stop begins.
      const sweep = setInterval(() => server.closeIdleConnections(), 50);
      const cutSilent = setTimeout(() => connections.cutSilent(), silentMs);
      const closed = connections.quiet(lingerMs).then(() => app.close());
      await Promise.all([closed, sockets?.stop(stopMs - 2_000)]);
      for (const timer of [cut, sweep, cutSilent]) clearTimeout(timer);
    },
  };
}

// Node counts a connection that never sent a request as a busy one.
function watchConnections(app: FastifyInstance) {
  const open = new Set<Socket>();
  const busy = new Set<Socket>();
  const forget = (socket: Socket) => {
    open.delete(socket);
    busy.delete(socket);
  };
  app.server.on('connection', (socket: Socket) => {
    open.add(socket);
    socket.once('close', () => forget(socket));
  });
  app.addHook('onRequest', async ({ raw }) => void busy.add(raw.socket));
  app.addHook('onResponse', async ({ raw }) => void busy.delete(raw.socket));
  return {
    forget,
    /** Resolves when no request is in flight, after `leastMs` at the earliest. */
    async quiet(leastMs: number) {
      const begunAt = performance.now();
      const passedMs = () => performance.now() - begunAt;
      while (passedMs() < leastMs || (busy.size > 0 && passedMs() < longestLingerMs)) await sleep(10);
    },
    cutSilent() {
      for (const socket of open) if (!busy.has(socket)) socket.destroy();
    },
  };
}

function answerTheRest(app: FastifyInstance, { core, api }: ServerParts): void {
  const allowed = new Map<string, Set<string>>();
  const allow = (path: string, method: string) => allowed.set(path, (allowed.get(path) ?? new Set()).add(method));
  for (const route of api?.restRoutes ?? []) allow(route.path, route.method);
  for (const route of serverRoutes) {
    if (route.method !== 'WEBSOCKET' && (api || route.isOfWorkers)) allow(route.path, route.method);
  }
  app.setNotFoundHandler((request, reply) => {
    const methods = allowed.get(pathOf(request.raw.url));
    if (!methods) return reply.code(404).send({ message: 'there is nothing at this address' });
    const list = [...methods].join(', ');
    return reply
      .code(405)
      .header('allow', list)
      .send({ message: `this address takes ${list} only` });
  });
  app.setErrorHandler((error: FastifyError, request, reply) => {
    const status =
      error.statusCode !== undefined && error.statusCode >= 400 && error.statusCode < 500 ? error.statusCode : 500;
    if (status === 500) core.log.error({ requestId: request.id, err: error }, 'unforeseen error');
    return reply.code(status).send({
      message: status === 500 ? 'something went wrong on our side' : 'this request is not valid',
      requestId: request.id,
    });
  });
}

function pathOf(url: string | undefined): string {
  return (url ?? '').split('?', 1)[0]!;
}

const clientErrors: Record<string, [number, string, string]> = {
  HPE_HEADER_OVERFLOW: [431, 'Request Header Fields Too Large', 'the headers are too large'],
  ERR_HTTP_REQUEST_TIMEOUT: [408, 'Request Timeout', 'the request took too long to arrive'],
};

// What Node's parser refuses never becomes a request: the answer is written by hand.
function headersOfAll(requestId: string): Record<string, string> {
  return { 'x-request-id': requestId, 'x-content-type-options': 'nosniff', 'cache-control': 'no-store' };
}

function answerClientError(
  error: Error & { code?: string },
  socket: Socket & { _httpMessage?: ServerResponse | null },
): void {
  if (error.code === 'ECONNRESET' || socket.destroyed) return;
  const [status, reason, message] = clientErrors[error.code ?? ''] ?? [400, 'Bad Request', 'this is not valid HTTP'];
  if (socket.writable && !socket._httpMessage?.headersSent) {
    socket.write(handWritten(status, reason, { message }));
  }
  socket.destroySoon();
}

function handWritten(status: number, reason: string, answer: { message: string }): string {
  const body = JSON.stringify(answer);
  return `HTTP/1.1 ${status} ${reason}\r\ncontent-type: application/json; charset=utf-8\r\nx-content-type-options: nosniff\r\ncontent-length: ${Buffer.byteLength(body)}\r\nconnection: close\r\n\r\n${body}`;
}

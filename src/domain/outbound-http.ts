import { validateHeaderName, validateHeaderValue } from 'node:http';
import type { LookupFunction, Socket } from 'node:net';
import { pipeline, type Readable } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';
import { createBrotliDecompress, createGunzip, createInflate } from 'node:zlib';
import { Agent, type buildConnector } from 'undici';
import { InvalidInput } from './errors.ts';
import { type GuardOptions, OutboundGuard, type SocketTarget } from './outbound-guard.ts';
import { OutboundFault, parseAddress, type SocketProtocol } from './outbound-policy.ts';
import { inSpan, SpanKind } from './tracing.ts';

export type { GuardOptions, Lookup, SocketTarget } from './outbound-guard.ts';
export { OutboundFault, type OutboundFaultKind } from './outbound-policy.ts';

/** A call to an address that others gave. */
export interface OutboundRequest {
  url: string;
  method: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE' | 'HEAD' | 'OPTIONS';
  /** Headers of the connection itself, and those that open cloud metadata services, are left out. */
  headers?: Record<string, string>;
  body?: Buffer | string;
  /** The whole exchange, connecting and reading included. */
  timeoutMs: number;
  /** Cap on the decoded bytes of the answer; past it the exchange is aborted. */
  maxAnswerBytes: number;
  /**
   * Whoever gets it twice knows it again by its id. A kept connection may end while a call is on its way, by no fault
   * of the peer: one that may be repeated then goes out once more, at once.
   */
  isRepeatable?: boolean;
  /** Its reason is what the call then throws. */
  signal?: AbortSignal;
}

export interface OutboundAnswer {
  status: number;
  /** Names in lower case; of a repeated header the values are joined by ", ". */
  headers: Record<string, string>;
  /** Decoded from gzip, deflate or br. */
  body: Buffer;
  durationMs: number;
}

/** The one outbound HTTP function. */
export interface OutboundHttp {
  /** @throws OutboundFault when there is no answer to judge; any HTTP status is an answer, 3xx too */
  call(request: OutboundRequest): Promise<OutboundAnswer>;
  /** Checks an address when it is saved; resolves names. @throws InvalidInput naming `path` */
  checkAddress(url: string, path: string): Promise<void>;
  /**
   * Opens `host:port` while this process runs; calls from now on use fresh connections. Only `parley listen` outside
   * production uses it.
   *
   * @throws InvalidInput
   */
  allow(hostPort: string): void;
  /** A connected socket for libraries that speak their protocol themselves (nodemailer). @throws OutboundFault */
  guardedConnect(target: SocketTarget): Promise<Socket>;
  /** A `connect` option for another pool of undici (APNs, with `allowH2`). */
  guardedConnector(options?: { allowH2?: boolean }): buildConnector.connector;
  /** A `lookup` option of sockets; tests names only, so literals need `guardedConnect`. */
  guardedLookup(port: number, protocol: SocketProtocol): LookupFunction;
  /** Ends all connections; calls in flight fail with `reset`. */
  close(): Promise<void>;
}

const saveCheckMs = 3_000;

// Those of one connection, which we write ourselves, and the keys to the metadata services of clouds.
const strippedHeaders = new Set([
  'connection',
  'content-length',
  'expect',
  'host',
  'http2-settings',
  'keep-alive',
  'proxy-authorization',
  'proxy-connection',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
  'metadata-flavor',
  'x-google-metadata-request',
  'x-aws-ec2-metadata-token',
  'x-aws-ec2-metadata-token-ttl-seconds',
]);

const decoders = {
  gzip: createGunzip,
  'x-gzip': createGunzip,
  deflate: createInflate,
  br: createBrotliDecompress,
};

/**
 * Makes the outbound HTTP function of a process: undici behind the guard, connections kept alive for each origin,
 * redirects returned and never followed, proxies of the environment ignored.
 */
export function createOutboundHttp(options: GuardOptions): OutboundHttp {
  const guard = new OutboundGuard(options);
  let agent = newAgent(guard);
  const retired = new Set<Agent>();

  return {
    call: (request) =>
      inSpan(`call ${request.method}`, { kind: SpanKind.CLIENT, attributes: hostOf(request.url) }, () =>
        call(agent, request),
      ),

    async checkAddress(url, path) {
      try {
        // A name that answers too late counts as one that does not resolve: each call tests it again.
        await Promise.race([guard.check(parseAddress(url)), sleep(saveCheckMs, undefined, { ref: false })]);
      } catch (fault) {
        if (!(fault instanceof OutboundFault)) throw fault;
        if (fault.kind !== 'dns') throw new InvalidInput(path, fault.message);
      }
    },

    allow(hostPort) {
      try {
        guard.allow(hostPort);
      } catch (fault) {
        throw fault instanceof OutboundFault ? new InvalidInput('hostPort', fault.message) : fault;
      }
      // What is connected was checked under the old rules: it ends with the calls it carries.
      const old = agent;
      agent = newAgent(guard);
      retired.add(old);
      void old.close().finally(() => retired.delete(old));
    },

    guardedConnect: (target) => guard.connect(target),
    guardedConnector: (connectorOptions) => guard.connector(connectorOptions),
    guardedLookup: (port, protocol) => guard.lookup(port, protocol),

    async close() {
      guard.close();
      await Promise.all([agent, ...retired].map((each) => each.destroy()));
    },
  };
}

// Of an address the path and the rest may be secret.
function hostOf(url: string): { 'server.address'?: string } {
  return URL.canParse(url) ? { 'server.address': new URL(url).host } : {};
}

function newAgent(guard: OutboundGuard): Agent {
  return new Agent({
    connect: noteBreaks(guard.connector()),
    allowH2: false,
    pipelining: 1,
    // undici's own timers start again at each byte; ours covers the whole exchange.
    headersTimeout: 0,
    bodyTimeout: 0,
    maxHeaderSize: 16_384,
    // A busy connection would keep its address for ever; a name may move.
    clientTtl: 60_000,
  });
}

// What broke a connection over which answers had come before: undici rejects with this very error.
const endsOfKept = new WeakSet<object>();

function noteBreaks(connect: buildConnector.connector): buildConnector.connector {
  return (target, callback) =>
    connect(target, (...[fault, socket]: Parameters<buildConnector.Callback>) => {
      if (!socket) return callback(fault, null);
      // Bytes of the head of an answer that broke off on a new connection count too: it does no harm.
      socket.on('error', (error) => socket.bytesRead > 0 && endsOfKept.add(error));
      callback(null, socket);
    });
}

async function call(agent: Agent, request: OutboundRequest): Promise<OutboundAnswer> {
  const { timeoutMs, signal } = request;
  signal?.throwIfAborted();
  const cut = new AbortController();
  // undici holds an aborted call until its connection is made, so the time limit is not left to it.
  const isCut = new Promise<never>((_, reject) => {
    cut.signal.addEventListener('abort', () => reject(cut.signal.reason), { once: true });
  });
  const giveUp = () => cut.abort(signal?.reason);
  const outOfTime = () => cut.abort(new OutboundFault('timeout', `no full answer within ${timeoutMs} ms`));
  const timer = setTimeout(outOfTime, timeoutMs);
  signal?.addEventListener('abort', giveUp, { once: true });
  try {
    return await Promise.race([exchange(agent, request, cut.signal), isCut]);
  } catch (error) {
    if (signal?.aborted) throw signal.reason;
    throw asFault(error);
  } finally {
    clearTimeout(timer);
    signal?.removeEventListener('abort', giveUp);
  }
}

async function exchange(agent: Agent, request: OutboundRequest, signal: AbortSignal): Promise<OutboundAnswer> {
  const startedAt = performance.now();
  const { origin, pathname, search } = parseAddress(request.url);
  const { method, body, maxAnswerBytes } = request;
  const headers = sentHeaders(request.headers ?? {});

  const ask = () => agent.request({ origin, path: `${pathname}${search}`, method, headers, body, signal });
  const answer = await ask().catch((error: object) => {
    if (request.isRepeatable && endsOfKept.has(error)) return ask();
    throw error;
  });
  const received = receivedHeaders(answer.headers);
  const isEmpty = method === 'HEAD' || answer.statusCode === 204 || answer.statusCode === 304;
  const codings = isEmpty || received['content-length'] === '0' ? '' : (received['content-encoding'] ?? '');
  const content = await readUpTo(maxAnswerBytes, decoded(answer.body, codings));
  const durationMs = Math.round(performance.now() - startedAt);
  return { status: answer.statusCode, headers: received, body: content, durationMs };
}

function sentHeaders(given: Record<string, string>): Record<string, string> {
  const headers: Record<string, string> = { 'user-agent': 'Parley' };
  for (const [spelling, value] of Object.entries(given)) {
    const name = spelling.toLowerCase();
    try {
      validateHeaderName(name);
      validateHeaderValue(name, value);
    } catch {
      // The value may be a secret: it is not told.
      throw new OutboundFault(
        'invalid',
        `the header ${JSON.stringify(name.slice(0, 100))} has a character that headers may not have`,
      );
    }
    if (!strippedHeaders.has(name)) headers[name] = value;
  }
  return headers;
}

function receivedHeaders(headers: Record<string, string | string[] | undefined>): Record<string, string> {
  return Object.fromEntries(
    Object.entries(headers).map(([name, value]) => [name, Array.isArray(value) ? value.join(', ') : (value ?? '')]),
  );
}

/** @throws OutboundFault `decode` when a coding is unknown */
function decoded(body: Readable, contentEncoding: string): Readable {
  const codings = contentEncoding
    .toLowerCase()
    .split(',')
    .map((coding) => coding.trim())
    .filter((coding) => coding && coding !== 'identity');
  if (codings.length === 0) return body;
  const isKnown = (coding: string): coding is keyof typeof decoders => Object.hasOwn(decoders, coding);
  if (codings.length > 2 || !codings.every(isKnown)) {
    body.on('error', () => undefined).destroy();
    throw new OutboundFault(
      'decode',
      `the answer has the content-encoding ${JSON.stringify(contentEncoding.slice(0, 100))}; gzip, deflate and br are read`,
    );
  }
  return codings.reduceRight<Readable>((source, coding) => pipeline(source, decoders[coding](), () => undefined), body);
}

// One growing buffer, not a list of chunks: an answer of single bytes would cost a hundred times its size.
async function readUpTo(maxBytes: number, stream: Readable): Promise<Buffer> {
  let held = Buffer.alloc(0);
  let size = 0;
  for await (const chunk of stream as AsyncIterable<Buffer>) {
    if (size + chunk.length > maxBytes) throw new OutboundFault('too-large', `the answer is over ${maxBytes} bytes`);
    if (size + chunk.length > held.length) {
      const grown = Buffer.alloc(Math.max(size + chunk.length, Math.min(held.length * 2, maxBytes)));
      held.copy(grown, 0, 0, size);
      held = grown;
    }
    size += chunk.copy(held, size);
  }
  return held.subarray(0, size);
}

function asFault(error: unknown): unknown {
  if (error instanceof OutboundFault) return error;
  const { name, code } = (error ?? {}) as { name?: unknown; code?: unknown };
  // undici's own message repeats what the peer sent.
  if (name === 'HTTPParserError') return new OutboundFault('decode', 'the answer is not HTTP');
  // What has no code is a fault of ours.
  if (typeof code !== 'string') return error;
  if (code === 'UND_ERR_INVALID_ARG') return new OutboundFault('invalid', 'HTTP has no such method, header or body');
  if (code === 'UND_ERR_HEADERS_OVERFLOW') {
    return new OutboundFault('too-large', 'the headers of the answer are too long');
  }
  // The codes of zlib; those of brotli begin with ERR__ERROR.
  if (/^(Z_|ERR__ERROR)/.test(code)) return new OutboundFault('decode', `the answer does not decode (${code})`);
  if (/^ERR_(SSL|TLS)/.test(code)) return new OutboundFault('tls', `the secure connection failed (${code})`);
  return new OutboundFault('reset', `the connection ended before the answer did (${code})`);
}

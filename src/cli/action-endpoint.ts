import { createHmac, timingSafeEqual } from 'node:crypto';
import { createServer, type IncomingHttpHeaders, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { z } from 'zod';
import { CliFailure, sentenceOf } from './failure.ts';

const actionShape = z.object({
  type: z.string(),
  payload: z.object({
    message: z.object({
      id: z.string(),
      source_recipient_id: z.string().nullish(),
      content: z.unknown(),
      sent_at: z.unknown(),
    }),
    conversation: z
      .object({ id: z.string(), source_channel_id: z.string().nullish(), source_conversation_id: z.string() })
      .nullish(),
  }),
});
/** What the gateway asks a source to do, as far as the command line reads it. */
export type Action = z.infer<typeof actionShape>;

/** A call that came in. Undefined action: the body is not one. */
export interface ActionCall {
  /** Every check that keys were given for has passed. */
  isVerified: boolean;
  /** Why not, when it is not. */
  doubt?: string;
  action?: Action;
}

export interface SignatureKeys {
  /** Of `X-Airy-Content-Signature`. */
  token?: string;
  /** `whsec_...`, of the Standard Webhooks headers. */
  signingSecrets?: string[];
}

/** Status and JSON body to answer a verified call with. */
export interface ActionAnswer {
  status: number;
  body: Record<string, unknown>;
}

export interface ActionEndpoint {
  /** `127.0.0.1:4301`, as OUTBOUND_ALLOW writes it. */
  hostPort: string;
  url: string;
  close(): Promise<void>;
}

const maxBodyBytes = 1024 * 1024;
const toleranceSeconds = 300;

/**
 * Listens for action calls of a gateway. An unverified call is told to `onCall` and answered 401, whatever `onCall`
 * returns.
 *
 * @throws CliFailure when the port is taken
 */
export async function openActionEndpoint(listen: {
  host: string;
  port: number;
  keys: () => SignatureKeys;
  onCall: (call: ActionCall) => ActionAnswer;
}): Promise<ActionEndpoint> {
  const server = createServer((request, response) => {
    answer(request, response).catch((error: unknown) => {
      if (!response.headersSent) reply(response, 500, { error: sentenceOf(error) });
      else response.destroy();
    });
  });

  async function answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    if (request.method !== 'POST') return reply(response, 405, { error: 'only POST' }, { allow: 'POST' });
    const body = await readBody(request);
    if (!body) return reply(response, 413, { error: 'too large' });
    const doubt = doubtOf(request.headers, body, listen.keys(), Date.now());
    const action = actionShape.safeParse(jsonOf(body)).data;
    const call: ActionCall = { isVerified: doubt === undefined, ...(doubt && { doubt }), ...(action && { action }) };
    const given = listen.onCall(call);
    if (!call.isVerified) return reply(response, 401, { error: `not verified: ${doubt}` });
    if (!action) return reply(response, 400, { error: 'not an action of the known shape' });
    reply(response, given.status, given.body);
  }

  await new Promise<void>((resolve, reject) => {
    server.once('error', (error: NodeJS.ErrnoException) =>
      reject(new CliFailure(`Cannot listen: ${sentenceOf(error)}`)),
    );
    server.listen(listen.port, listen.host, resolve);
  });
  const { port } = server.address() as AddressInfo;
  // What listens everywhere is called at the loopback: the gateway cannot call 0.0.0.0.
  const host = listen.host === '0.0.0.0' ? '127.0.0.1' : listen.host === '::' ? '::1' : listen.host;
  const hostPort = `${host.includes(':') ? `[${host}]` : host}:${port}`;
  return {
    hostPort,
    url: `http://${hostPort}/`,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

/** Why a call is not to be trusted; undefined when it is. Pure: headers and exact bytes in, reason out. */
export function doubtOf(
  headers: IncomingHttpHeaders,
  body: Buffer,
  keys: SignatureKeys,
  nowMs: number,
): string | undefined {
  const { token, signingSecrets = [] } = keys;
  if (token === undefined && signingSecrets.length === 0) return 'no key to verify with';
  if (token !== undefined) {
    const given = headers['x-airy-content-signature'];
    if (typeof given !== 'string') return 'X-Airy-Content-Signature is missing';
    const right = createHmac('sha256', token).update(body).digest('hex');
    if (!isEqual(given, right)) return 'X-Airy-Content-Signature is of another token or another body';
  }
  return signingSecrets.length > 0 ? standardDoubt(headers, body, signingSecrets, nowMs) : undefined;
}

// https://www.standardwebhooks.com: v1,<base64 of HMAC-SHA256 over id.timestamp.body>, several with a blank between.
function standardDoubt(
  headers: IncomingHttpHeaders,
  body: Buffer,
  secrets: string[],
  nowMs: number,
): string | undefined {
  const { 'webhook-id': id, 'webhook-timestamp': timestamp, 'webhook-signature': signatures } = headers;
  if (typeof id !== 'string' || typeof timestamp !== 'string' || typeof signatures !== 'string') {
    return 'a webhook-id, webhook-timestamp or webhook-signature header is missing';
  }
  if (!(Math.abs(nowMs / 1000 - Number(timestamp)) <= toleranceSeconds)) return 'webhook-timestamp is not of now';
  const given = signatures.split(' ');
  const isRight = secrets.some((secret) => {
    const key = Buffer.from(secret.replace(/^whsec_/, ''), 'base64');
    const right = `v1,${createHmac('sha256', key).update(`${id}.${timestamp}.`).update(body).digest('base64')}`;
    return given.some((signature) => isEqual(signature, right));
  });
  return isRight ? undefined : 'webhook-signature is of another secret or another body';
}

function isEqual(given: string, right: string): boolean {
  const [a, b] = [Buffer.from(given), Buffer.from(right)];
  return a.length === b.length && timingSafeEqual(a, b);
}

async function readBody(request: IncomingMessage): Promise<Buffer | undefined> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of request as AsyncIterable<Buffer>) {
    bytes += chunk.length;
    if (bytes > maxBodyBytes) return undefined;
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}

function reply(response: ServerResponse, status: number, body: unknown, headers: Record<string, string> = {}): void {
  response.writeHead(status, { 'content-type': 'application/json', ...headers });
  response.end(JSON.stringify(body));
}

function jsonOf(body: Buffer): unknown {
  try {
    return JSON.parse(body.toString('utf8'));
  } catch {
    return undefined;
  }
}

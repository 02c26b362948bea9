import { createServer, type IncomingHttpHeaders, type ServerResponse } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import { afterAll } from '@jest/globals';
import type { Json } from './app.ts';

/** One call that came in. */
export interface ActionCall {
  /** The bytes as they were sent: what the signatures stand for. */
  raw: Buffer;
  body: Json;
  headers: IncomingHttpHeaders;
  /** The bare id of the message. */
  messageId: string;
  conversationId: string;
  /** 1 for the first call of this message on this route. */
  attempt: number;
  /** Monotonic ms of its arrival. */
  at: number;
}

/** What a call is answered with. A function writes by itself, or leaves the caller waiting. */
export type Answer =
  | { status?: number; headers?: Record<string, string>; body?: unknown }
  | ((response: ServerResponse) => void);

export interface Route {
  /** An `action_endpoint` of its own. */
  url: string;
  calls: ActionCall[];
  /** Calls that wait for their answer, and the most there ever were. */
  inFlight: number;
  mostInFlight: number;
  callsOf(messageId: string): ActionCall[];
  /** Answers from now on by this function. */
  answerBy(answer: AnswerBy): void;
}

type AnswerBy = (call: ActionCall) => Answer | Promise<Answer>;

let accepted = 0;
/** A success with a `source_message_id` that was never given before. */
export const success = (metadata?: unknown): Answer => {
  accepted += 1;
  return {
    body: { source_message_id: `theirs-${process.pid}-${accepted}`, ...(metadata !== undefined && { metadata }) },
  };
};

const ends: (() => unknown)[] = [];
afterAll(() => {
  for (const end of ends.splice(0)) end();
});

/**
 * The action endpoints of a file's sources, on one port of the loopback: start it before the app and open `hostPort`
 * by `outboundAllow`. Ended after the file's tests.
 */
export async function startActionEndpoint() {
  const routes = new Map<string, { route: Route; answer: AnswerBy }>();
  const sockets = new Set<Socket>();
  const server = createServer(async (request, response) => {
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk as Buffer);
    const known = routes.get(request.url ?? '');
    if (!known) return void response.writeHead(404).end();
    const { route } = known;
    const call = callOf(Buffer.concat(chunks), request.headers, route);
    route.calls.push(call);
    route.inFlight += 1;
    route.mostInFlight = Math.max(route.mostInFlight, route.inFlight);
    response.once('close', () => {
      route.inFlight -= 1;
    });
    write(response, await known.answer(call));
  });
  server.on('connection', (socket) => {
    sockets.add(socket);
    socket.on('error', () => undefined).on('close', () => sockets.delete(socket));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const hostPort = `127.0.0.1:${(server.address() as AddressInfo).port}`;
  ends.push(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });

  return {
    hostPort,
    /** An address of its own; without a function each call is a success. */
    route(answer: AnswerBy = () => success()): Route {
      const path = `/${routes.size + 1}`;
      const calls: ActionCall[] = [];
      const route: Route = {
        url: `http://${hostPort}${path}`,
        calls,
        inFlight: 0,
        mostInFlight: 0,
        callsOf: (messageId) => calls.filter((call) => call.messageId === messageId),
        answerBy: (next) => void routes.set(path, { route, answer: next }),
      };
      routes.set(path, { route, answer });
      return route;
    },
  };
}

export type ActionEndpoint = Awaited<ReturnType<typeof startActionEndpoint>>;

function callOf(raw: Buffer, headers: IncomingHttpHeaders, route: Route): ActionCall {
  const body: Json = JSON.parse(raw.toString());
  const messageId: string = body.payload.message.id;
  return {
    raw,
    body,
    headers,
    messageId,
    // Of a message that begins one there is none yet.
    conversationId: body.payload.conversation?.id,
    attempt: route.callsOf(messageId).length + 1,
    at: performance.now(),
  };
}

function write(response: ServerResponse, answer: Answer): void {
  if (typeof answer === 'function') {
    answer(response);
    return;
  }
  const { status = 200, headers = {}, body } = answer;
  const isRaw = body === undefined || typeof body === 'string' || Buffer.isBuffer(body);
  response.writeHead(status, { 'content-type': 'application/json', ...headers });
  response.end(isRaw ? body : JSON.stringify(body));
}

import { randomUUID } from 'node:crypto';
import type { IncomingMessage } from 'node:http';
import type { Duplex } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';
import { type ExecutionResult, GraphQLError } from 'graphql';
import { handleProtocols, makeServer, type Server } from 'graphql-ws';
import { WebSocketServer } from 'ws';
import { may } from '../domain/access.ts';
import { authenticate } from '../domain/authentication.ts';
import { TooLarge } from '../domain/errors.ts';
import {
  type AdmittedOperation,
  type Core,
  createGraphCtx,
  DocumentRefused,
  type Graph,
  type Principal,
  toDomainError,
} from '../graphql/execute.ts';
import type { Live, PreparedResult, Revocation } from '../graphql/live.ts';
import type { Admission } from './admission.ts';
import { addressOf } from './caller.ts';
import { maxGraphBytes } from './graphql-route.ts';
import { Connection } from './socket-connection.ts';

/** For the metrics. */
export interface SocketCounts {
  readonly open: number;
  /** Results of subscriptions handed on since the start. */
  readonly delivered: number;
}

/** Sockets of `graphql-transport-ws`. */
export interface Sockets extends SocketCounts {
  /** Takes an HTTP request over that asked for a WebSocket. */
  accept(request: IncomingMessage, socket: Duplex, head: Buffer): void;
  /** Closes all with 1001; who does not answer within `capMs` is cut. */
  stop(capMs: number): Promise<void>;
}

/** Subscriptions and running operations of one socket. */
const maxSubscriptions = 100;
/** Characters that may wait for the clients of all sockets together. */
const mostUnsent = 128 * 1024 * 1024;
const initWaitMs = 3_000;
/**
 * Each socket is pinged once in so many seconds, a part of them each second. Proxies cut what is silent for a minute, or
 * half of one; ten thousand pings cost more the more often they come.
 */
const pingEachSeconds = 25;
/** The reading of a token may rest on what another process knew a moment ago: look twice. */
const recheckAfterMs = 2_500;
const rememberRevokedMs = 10_000;

interface Extra {
  connection: Connection;
}

/** What graphql-ws carries from subscribe to execution; kept as long as the subscription, so it stays small. */
interface SocketOperation {
  id: string;
  admitted: AdmittedOperation;
  requestId: string;
  connection: Connection;
  principal: Principal;
  iterator?: AsyncIterableIterator<PreparedResult, undefined>;
}

export function createSockets(parts: SocketParts): Sockets {
  return new GraphSockets(parts);
}

interface SocketParts {
  core: Core;
  graph: Graph;
  live: Live;
  /** Queries and mutations go through the same door as over HTTP. */
  admission: Admission;
}

class GraphSockets implements Sockets {
  readonly #core: Core;
  readonly #graph: Graph;
  readonly #live: Live;
  readonly #admission: Admission;
  readonly #upgrades = new WebSocketServer({
    noServer: true,
    maxPayload: maxGraphBytes,
    handleProtocols,
    clientTracking: false,
    // One message of a socket in each turn: thousands that come together must not hold everybody up.
    allowSynchronousEvents: false,
  });
  readonly #protocol: Server<Extra>;
  readonly #open = new Set<Connection>();
  readonly #byUser = new Map<string, Set<Connection>>();
  /** Of the last seconds: a token may have been read just before. */
  readonly #revoked = new Map<string, number>();
  readonly #endRevocations: () => void;
  readonly #pings: NodeJS.Timeout;
  delivered = 0;
  #second = 0;
  #unsent = 0;

  constructor({ core, graph, live, admission }: SocketParts) {
    this.#core = core;
    this.#graph = graph;
    this.#live = live;
    this.#admission = admission;
    this.#protocol = this.#makeProtocol();
    this.#endRevocations = live.onRevoked((revoked) => this.#revoke(revoked));
    this.#pings = setInterval(() => this.#ping(), 1_000).unref();
  }

  get open(): number {
    return this.#open.size;
  }

  accept(request: IncomingMessage, socket: Duplex, head: Buffer): void {
    socket.on('error', () => socket.destroy());
    this.#upgrades.handleUpgrade(request, socket, head, (ws) => {
      const address = addressOf(request, this.#core.settings.trustProxy);
      const onUnsent = (characters: number) => this.#countUnsent(characters);
      const connection = new Connection(ws, { address, id: randomUUID(), log: this.#core.log, onUnsent });
      this.#open.add(connection);
      const closed = this.#protocol.opened(connection.protocolSocket, { connection });
      ws.once('close', (code, reason) => {
        this.#forget(connection);
        void closed(code, reason.toString());
      });
    });
  }

  async stop(capMs: number): Promise<void> {
    clearInterval(this.#pings);
    this.#endRevocations();
    for (const connection of this.#open) connection.close(1001, 'the server stops');
    const until = performance.now() + capMs;
    while (this.#open.size > 0 && performance.now() < until) await sleep(20);
    for (const connection of this.#open) connection.terminate();
  }

  #makeProtocol(): Server<Extra> {
    return makeServer<Record<string, unknown>, Extra>({
      connectionInitWaitTimeout: initWaitMs,
      onConnect: ({ extra, connectionParams }) => this.#connect(extra.connection, connectionParams?.authorization),
      onSubscribe: async ({ extra, subscriptions }, id, payload) => {
        const { connection } = extra;
        const requestId = connection.nextRequestId();
        try {
          if (id.length > 512) throw new TooLarge('the id of an operation has at most 512 characters');
          if (Object.keys(subscriptions).length > maxSubscriptions) {
            throw new TooLarge(`a socket carries at most ${maxSubscriptions} operations`);
          }
          const contextValue = await this.#begin(connection, { id, payload, requestId });
          const { prepared, operationName } = contextValue.admitted;
          // Held by graphql-ws as long as the subscription: one text for all of them.
          (payload as { query: string }).query = prepared.source;
          return { schema: this.#graph.schema, document: prepared.document, operationName, contextValue };
        } catch (error) {
          return errorsOf(error, requestId);
        } finally {
          connection.operations.opened(id);
        }
      },
      execute: ({ contextValue }) => this.#execute(contextValue as SocketOperation),
      subscribe: ({ contextValue }) =>
        (contextValue as SocketOperation).iterator as unknown as AsyncGenerator<ExecutionResult>,
      onNext: ({ extra }, _id, _payload, { contextValue }, result) => {
        if ((contextValue as SocketOperation).iterator) this.delivered += 1;
        return extra.connection.mark((result as unknown as PreparedResult).json) as ExecutionResult;
      },
      onError: ({ extra }, _id, _payload, errors) => {
        const requestId = (errors[0]?.extensions.requestId as string | undefined) ?? extra.connection.nextRequestId();
        return this.#graph.format(errors, { principal: extra.connection.principal, requestId });
      },
    });
  }

  async #connect(connection: Connection, authorization: unknown): Promise<boolean> {
    if (typeof authorization !== 'string' || authorization === '') return false;
    try {
      const { address } = connection;
      connection.identify(await authenticate(this.#core, { authorization, address }), authorization);
    } catch (error) {
      if (isRefusal(error)) return false;
      this.#core.log.warn({ requestId: connection.nextRequestId(), err: error }, 'a socket could not be let in');
      connection.close(1013, 'try again later');
      return false;
    }
    const { principal } = connection;
    if (principal.kind === 'anonymous' || !may({ principal }, '__typename')) return false;
    if (!connection.isOpen) return true;
    if ('expiresAt' in principal) connection.closeAt(principal.expiresAt.getTime() - this.#core.now().getTime());
    if (principal.kind !== 'user') return true;
    if (principal.tokenVersion < (this.#revoked.get(principal.userId) ?? 0)) return false;
    const sockets = this.#byUser.get(principal.userId) ?? new Set();
    this.#byUser.set(principal.userId, sockets.add(connection));
    return true;
  }

  async #begin(
    connection: Connection,
    { id, payload, requestId }: { id: string; payload: Parameters<Graph['admit']>[0]; requestId: string },
  ): Promise<SocketOperation> {
    const principal = await this.#principalNow(connection);
    const { address } = connection;
    const admitted = this.#graph.admit(payload, principal);
    const begun: SocketOperation = { id, admitted, requestId, connection, principal };
    if (admitted.kind === 'subscription') {
      const onOverflow = () => connection.close(1013, 'too far behind: subscribe again after the last cursor');
      begun.iterator = await this.#live.subscribe(admitted, { principal, requestId, address, onOverflow });
    } else this.#admission.check();
    return begun;
  }

  // A socket lives longer than what its token was checked against: a source may be deleted or rotated, a role change.
  async #principalNow(connection: Connection): Promise<Principal> {
    try {
      return await authenticate(this.#core, connection);
    } catch (error) {
      if (isRefusal(error)) connection.close(4401, 'Unauthorized');
      throw error;
    }
  }

  async #execute({ id, admitted, requestId, connection, principal }: SocketOperation): Promise<ExecutionResult> {
    const { address } = connection;
    await connection.operations.mayExecute(id);
    // While it waited; nobody hears of it any more.
    if (!connection.isOpen) return {};
    const leave = this.#admission.enter();
    try {
      const result = await this.#graph.execute(admitted, createGraphCtx(this.#core, { principal, requestId, address }));
      const prepared: PreparedResult = { json: JSON.stringify(result) };
      return prepared as ExecutionResult;
    } finally {
      leave();
    }
  }

  // Many that read nothing, each of them within its own bound.
  #countUnsent(characters: number): void {
    this.#unsent += characters;
    if (this.#unsent <= mostUnsent || characters <= 0) return;
    let worst: Connection | undefined;
    for (const connection of this.#open) if (connection.unsent > (worst?.unsent ?? 0)) worst = connection;
    this.#core.log.warn({ unsent: this.#unsent }, 'too much waits for clients that do not read: the slowest is cut');
    worst?.terminate();
  }

  #forget(connection: Connection): void {
    this.#open.delete(connection);
    connection.release();
    const { principal } = connection;
    if (principal.kind !== 'user') return;
    const sockets = this.#byUser.get(principal.userId);
    sockets?.delete(connection);
    if (sockets?.size === 0) this.#byUser.delete(principal.userId);
  }

  #revoke(revoked: Revocation | undefined): void {
    if (!revoked) {
      for (const connection of [...this.#open]) void this.#recheck(connection);
      return;
    }
    this.#revoked.set(revoked.userId, revoked.tokenVersion);
    setTimeout(() => this.#revoked.delete(revoked.userId), rememberRevokedMs).unref();
    for (const connection of [...(this.#byUser.get(revoked.userId) ?? [])]) {
      const { principal } = connection;
      if (principal.kind === 'user' && principal.tokenVersion < revoked.tokenVersion)
        connection.close(4401, 'Unauthorized');
    }
  }

  // Events were missed, among them perhaps the one that voids this token.
  async #recheck(connection: Connection): Promise<void> {
    for (let looks = 0; looks < 2; looks += 1) {
      if (looks > 0) await sleep(recheckAfterMs, undefined, { ref: false });
      // Closed meanwhile, perhaps with the whole server: nobody is left to look for.
      if (!connection.isOpen || connection.authorization === undefined) return;
      try {
        await authenticate(this.#core, connection);
      } catch (error) {
        if (isRefusal(error)) {
          connection.close(4401, 'Unauthorized');
          return;
        }
        looks = 0; // the database is away: until it answers nothing is known
      }
    }
  }

  // A part of the sockets each second: ten thousand pings at once would hold everybody up.
  #ping(): void {
    this.#second = (this.#second + 1) % pingEachSeconds;
    for (const connection of this.#open) {
      if (connection.slot % pingEachSeconds === this.#second) connection.ping();
    }
  }
}

// graphql-ws wants GraphQLErrors; `format` finds the originals inside.
/** True when the token is not taken, at all or from this address; false when that could not be found out. */
function isRefusal(error: unknown): boolean {
  return ['UNAUTHENTICATED', 'FORBIDDEN'].includes(toDomainError(error).code);
}

function errorsOf(error: unknown, requestId: string): GraphQLError[] {
  const errors = error instanceof DocumentRefused ? error.errors : [error];
  return errors.map((one) => {
    const message = one instanceof Error ? one.message : String(one);
    if (!(one instanceof GraphQLError))
      return new GraphQLError(message, { originalError: one as Error, extensions: { requestId } });
    return new GraphQLError(message, {
      nodes: one.nodes,
      source: one.source,
      positions: one.positions,
      extensions: { ...one.extensions, requestId },
    });
  });
}

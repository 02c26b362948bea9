import { GraphQLError, type GraphQLFormattedError } from 'graphql';
import type { Logger } from 'pino';
import { Conflict, DomainError, InvalidInput, RateLimited, Unavailable } from '../domain/errors.ts';
import { sqlState } from '../domain/transaction.ts';

/** Where a fault was met: what its answer names and where the rest of it is logged. */
export interface FaultPlace {
  log: Logger;
  requestId: string;
  /** Takes "Did you mean" out of messages: it tells names of the schema to who may not read it. */
  hidesSchema?: boolean;
}

/** Characters of a message. The executors quote the value that they refuse, however long it is. */
const longestMessage = 1_000;
/** How long a client waits before it tries again when the database is away. */
const retryAfterMs = 2_000;

const unavailableStates = new Set([
  '57014', // statement timeout
  '55P03', // lock timeout
  '53000',
  '53100', // disk full
  '53200',
  '53300', // too many connections
  '58030',
  '25006', // a standby that was not promoted yet
  '25P03', // idle in transaction too long
  '25P04',
  '26000', // a prepared statement that the server forgot, as after a failover
  '40001', // given up after all tries of `transaction`
  '40P01',
]);
const unreachable = new Set([
  'ECONNREFUSED',
  'ECONNRESET',
  'EPIPE',
  'ETIMEDOUT',
  'ENOTFOUND',
  'EAI_AGAIN',
  'EHOSTUNREACH',
]);
// The driver and its pool throw these without a code.
const lostConnection =
  /query read timeout|timeout exceeded when trying to connect|connection terminated|not queryable|client was closed|pool after calling end/i;
// A net under the checks of the services: PostgreSQL refuses the value itself.
const refusedValues = new Set(['22021', '22P05', '22P02', '22P03', '22001', '22003', '22007', '22008', '54000']);

/** A body of another type, charset or encoding than JSON in UTF-8; HTTP answers 415. */
export class UnsupportedMediaType extends InvalidInput {
  constructor(message: string) {
    super('content-type', message);
    this.message = message;
  }
}

/**
 * The domain error for whatever was thrown, through the wrappers of GraphQL and of the database: REST and GraphQL
 * classify with this one function. What nobody foresaw becomes INTERNAL_SERVER_ERROR with the original as `cause`.
 */
export function toDomainError(error: unknown): DomainError {
  const found = causes(error);
  const domainError = found.find((one) => one instanceof DomainError);
  if (domainError) return domainError;
  if (found.some(isUnavailable)) return withCause(new Unavailable(undefined, retryAfterMs), error);
  if (found.some((one) => refusedValues.has(sqlState(one) ?? ''))) {
    return withCause(new InvalidInput('', 'a value cannot be stored as it is'), error);
  }
  // A net under the services, which name what exists: two did the same at once.
  if (found.some((one) => sqlState(one) === '23505')) return withCause(new Conflict('it exists already'), error);
  const inner = found.at(-1);
  if (error instanceof GraphQLError && inner instanceof GraphQLError && isCallersFault(error)) {
    const named = /^(?:Variable "\$|Argument ")(\w+)"/.exec(error.message)?.[1];
    const fault = new InvalidInput(named ?? '', error.message);
    fault.message = error.message;
    return fault;
  }
  return withCause(new DomainError('INTERNAL_SERVER_ERROR', 'something went wrong on our side'), error);
}

/**
 * The error as a GraphQL client sees it: code, faults and request id in `extensions`; never a stack, SQL or
 * `extensions.http`. What is not foreseen is logged here, once, and told without detail.
 *
 * @see style.md, "Errors"
 */
export function formatGraphError(error: unknown, place: FaultPlace): GraphQLFormattedError {
  const located = error instanceof GraphQLError ? error : undefined;
  const known = located && protocolCode(located);
  if (known) return formatted(located, place, located.message, { code: known });

  const fault = toDomainError(error);
  if (fault.code === 'INTERNAL_SERVER_ERROR') {
    place.log.error(
      { requestId: place.requestId, path: located?.path?.join('.'), err: loggable(error) },
      'unforeseen error',
    );
  } else if (fault.cause !== undefined) {
    place.log.warn(
      { requestId: place.requestId, code: fault.code, err: loggable(fault.cause) },
      'answered with an error',
    );
  }
  return formatted(located, place, fault.message, {
    code: fault.code,
    ...(fault.faults.some(({ path }) => path !== '') && {
      errors: fault.faults.map(({ path, message }) => ({ path, message: shortened(message) })),
    }),
    ...(fault.retryAfterMs !== undefined && { retryAfterMs: fault.retryAfterMs }),
    ...(fault instanceof RateLimited && { limit: fault.limit }),
  });
}

function formatted(
  located: GraphQLError | undefined,
  place: FaultPlace,
  message: string,
  extensions: Record<string, unknown>,
): GraphQLFormattedError {
  return {
    message: shortened(place.hidesSchema ? message.replace(/\s*Did you mean .*\?$/s, '') : message),
    ...(located?.locations?.length && { locations: located.locations }),
    ...(located?.path && { path: located.path }),
    extensions: { ...extensions, requestId: place.requestId },
  };
}

function shortened(text: string): string {
  return text.length > longestMessage ? `${text.slice(0, longestMessage - 3).toWellFormed()}...` : text;
}

// Codes of the protocol (GRAPHQL_PARSE_FAILED, QUERY_TOO_COMPLEX, ...) are made by our limits and by Apollo, never by
// a resolver: those errors carry no original but a GraphQLError.
function protocolCode(error: GraphQLError): string | undefined {
  const code = error.extensions?.code;
  if (typeof code !== 'string' || code === 'INTERNAL_SERVER_ERROR') return undefined;
  return causes(error).every((one) => one instanceof GraphQLError) ? code : undefined;
}

// Coercion of variables has no path yet. Arguments are coerced at their field; both executors say so in these words.
function isCallersFault(error: GraphQLError): boolean {
  return error.path === undefined || /^Argument ["']/.test(error.message);
}

function isUnavailable(error: unknown): boolean {
  const state = sqlState(error);
  if (state && (unavailableStates.has(state) || state.startsWith('08') || state.startsWith('57P'))) return true;
  const { code, syscall, message } = error as { code?: unknown; syscall?: unknown; message?: unknown };
  // A migration changed a table under a prepared statement; other features that the server lacks have this state too.
  if (state === '0A000') return typeof message === 'string' && message.includes('cached plan');
  if (typeof code === 'string' && unreachable.has(code)) return true;
  // The socket file of an embedded database that is not running.
  if (code === 'ENOENT' && syscall === 'connect') return true;
  return typeof message === 'string' && lostConnection.test(message);
}

/** The error and what it wraps, outermost first. */
function causes(error: unknown): object[] {
  const found: object[] = [];
  let next = error;
  while (typeof next === 'object' && next !== null && found.length < 10 && !found.includes(next)) {
    found.push(next);
    const { originalError, cause } = next as { originalError?: unknown; cause?: unknown };
    next = originalError ?? cause;
  }
  return found;
}

/**
 * What may stand in the log: errors of the database carry the statement with its values, which is message content.
 * Of them only the code, the database's own sentence and the places in our code are kept.
 */
function loggable(error: unknown): Record<string, unknown> {
  const root = causes(error).find((one) => !(one instanceof GraphQLError)) ?? error;
  if (!(root instanceof Error)) return { message: String(root) };
  const code = sqlState(root) ?? (root as NodeJS.ErrnoException).code;
  const stack = root.stack
    ?.split('\n')
    .filter((line) => /^\s+at /.test(line))
    .join('\n');
  const isOfDatabase = sqlState(root) !== undefined || root.name.endsWith('Exception');
  // "statement - sentence"; sentences of class 22 quote the value.
  const sentence = code?.startsWith('22') ? 'a value was refused' : root.message.split(' - ').at(-1);
  return { name: root.name, code, message: isOfDatabase ? sentence : root.message, stack };
}

function withCause<T extends DomainError>(fault: T, cause: unknown): T {
  fault.cause = cause;
  return fault;
}

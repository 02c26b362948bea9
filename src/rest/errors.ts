import { type DomainError, type ErrorCode, type Fault, RateLimited } from '../domain/errors.ts';
import { toDomainError, UnsupportedMediaType } from '../graphql/execute.ts';

export interface RestAnswer {
  status: number;
  headers?: Record<string, string>;
  /** Undefined: an empty body. */
  body?: unknown;
}

/** What the Airy contract answers for each code, where a row says nothing else. */
const statuses: Record<ErrorCode, number> = {
  BAD_USER_INPUT: 400,
  UNAUTHENTICATED: 403,
  FORBIDDEN: 403,
  NOT_FOUND: 404,
  CONFLICT: 409,
  RATE_LIMITED: 429,
  TOO_LARGE: 413,
  QUERY_TOO_COMPLEX: 400,
  IDEMPOTENCY_MISMATCH: 422,
  DOWNSTREAM_FAILED: 400,
  UNAVAILABLE: 503,
  INTERNAL_SERVER_ERROR: 500,
};

// Names of this side for what operations call otherwise.
const renamed: Record<string, string> = {
  after: 'cursor',
  before: 'cursor',
  first: 'page_size',
  last: 'page_size',
};

/**
 * The contract's answer for a fault: `{message}`, with `errors[{path, message}]` beside it where fields are at fault. A
 * missing or bad token is answered without a body.
 *
 * @param own statuses and names of the row where they differ
 */
export function errorAnswer(
  error: unknown,
  requestId: string,
  own: { errors?: Partial<Record<ErrorCode, number>>; renames?: Record<string, string> } = {},
): RestAnswer {
  const fault = toDomainError(error);
  const status = fault instanceof UnsupportedMediaType ? 415 : (own.errors?.[fault.code] ?? statuses[fault.code]);
  const headers: Record<string, string> = {};
  if (fault.retryAfterMs !== undefined)
    headers['retry-after'] = String(Math.max(1, Math.ceil(fault.retryAfterMs / 1000)));
  if (fault instanceof RateLimited) {
    headers['ratelimit-limit'] = String(fault.limit);
    headers['ratelimit-remaining'] = '0';
    headers['ratelimit-reset'] = headers['retry-after'] ?? '1';
  }
  if (fault.code === 'UNAUTHENTICATED') return { status, headers };
  if (fault.code === 'INTERNAL_SERVER_ERROR') {
    return { status, headers, body: { message: fault.message, request_id: requestId } };
  }
  return { status, headers, body: errorBody(fault, { ...renamed, ...own.renames }) };
}

function errorBody(fault: DomainError, names: Record<string, string>): { message: string; errors?: Fault[] } {
  const errors = fault.faults
    .map(({ path, message }) => ({ path: restPath(names[path] ?? path), message }))
    .filter(({ path }) => path !== '');
  if (errors.length === 0) return { message: fault.faults[0]?.message ?? fault.message };
  const [first] = errors;
  const more = errors.length > 1 ? ` (and ${errors.length - 1} more)` : '';
  return { message: `${describe(first!)}${more}`, errors };
}

// The sentences of the contract stand alone.
const whole = ['Unknown metadata namespace', 'Tag color must be'];

function describe({ path, message }: Fault): string {
  return whole.some((beginning) => message.startsWith(beginning)) ? message : `${path}: ${message}`;
}

function restPath(path: string): string {
  return path.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
}

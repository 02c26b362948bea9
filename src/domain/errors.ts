/** One fault of an input: where (a path such as `messages[3].sentAt`) and what would be right. */
export interface Fault {
  path: string;
  message: string;
}

export type ErrorCode =
  | 'BAD_USER_INPUT'
  | 'UNAUTHENTICATED'
  | 'FORBIDDEN'
  | 'NOT_FOUND'
  | 'CONFLICT'
  | 'RATE_LIMITED'
  | 'TOO_LARGE'
  | 'QUERY_TOO_COMPLEX'
  | 'IDEMPOTENCY_MISMATCH'
  | 'DOWNSTREAM_FAILED'
  | 'UNAVAILABLE'
  | 'INTERNAL_SERVER_ERROR';

/** A name of a source may have so many; what is longer is no id of ours. */
const longestShownId = 255;

/** At most this many faults are told at once. */
export const maxFaults = 20;

/**
 * What a service throws when the answer is "no". The code is the `extensions.code` of GraphQL; REST makes the
 * contract's status of it. The message is for the caller: it says what was wrong and what would be right.
 */
export class DomainError extends Error {
  readonly code: ErrorCode;
  readonly faults: Fault[] = [];
  readonly retryAfterMs?: number;

  constructor(code: ErrorCode, message: string, retryAfterMs?: number) {
    super(message);
    this.name = new.target.name;
    this.code = code;
    this.retryAfterMs = retryAfterMs;
  }
}

/** Thrown for one field (`path`, `message`) or with all faults of an input; a caller sees at most 20. */
export class InvalidInput extends DomainError {
  override readonly faults: Fault[];

  constructor(path: string, message: string);
  constructor(faults: Fault[]);
  constructor(pathOrFaults: string | Fault[], message?: string) {
    const faults = typeof pathOrFaults === 'string' ? [{ path: pathOrFaults, message: message ?? '' }] : pathOrFaults;
    super('BAD_USER_INPUT', describe(faults));
    this.faults = faults.slice(0, maxFaults);
  }
}

function describe(faults: Fault[]): string {
  const [first] = faults;
  if (!first) return 'the input is not valid';
  const text = first.path ? `${first.path}: ${first.message}` : first.message;
  return faults.length === 1 ? text : `${text} (and ${faults.length - 1} more)`;
}

export class Unauthenticated extends DomainError {
  constructor(message = 'a valid token is needed') {
    super('UNAUTHENTICATED', message);
  }
}

export class Forbidden extends DomainError {
  constructor(message = 'this token may not do that') {
    super('FORBIDDEN', message);
  }
}

export class NotFound extends DomainError {
  constructor(what: string, id: string) {
    const shown = id.length > longestShownId ? `${id.slice(0, longestShownId).toWellFormed()}...` : id;
    super('NOT_FOUND', `no ${what} with the id ${JSON.stringify(shown)}`);
  }
}

export class Conflict extends DomainError {
  constructor(message: string) {
    super('CONFLICT', message);
  }
}

export class IdempotencyMismatch extends DomainError {
  constructor() {
    super('IDEMPOTENCY_MISMATCH', 'this Idempotency-Key was used with another body; use a new key for a new request');
  }
}

export class RateLimited extends DomainError {
  /** How many are allowed in the window that is used up. */
  readonly limit: number;

  constructor(message: string, retryAfterMs: number, limit: number) {
    super('RATE_LIMITED', message, retryAfterMs);
    this.limit = limit;
  }
}

export class TooLarge extends DomainError {
  constructor(message: string) {
    super('TOO_LARGE', message);
  }
}

/** The database or a vendor is out of reach, or a statement took too long: the same call may go through later. */
export class Unavailable extends DomainError {
  constructor(message = 'the service is not available at the moment, try again', retryAfterMs = 2_000) {
    super('UNAVAILABLE', message, retryAfterMs);
  }
}

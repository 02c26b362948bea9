import type { GraphQLFormattedError } from 'graphql';
import { UnsupportedMediaType } from './errors.ts';

/** Ready to be sent. */
export interface GraphHttpAnswer {
  status: number;
  headers: Record<string, string>;
  body: string;
}

const jsonType = 'application/json; charset=utf-8';
const graphType = 'application/graphql-response+json; charset=utf-8';

// Under application/json a well-formed request is answered 200, whatever is wrong with its document; see the
// GraphQL-over-HTTP specification. Limits are not that: QUERY_TOO_COMPLEX stays 400.
const documentFaults = new Set(['GRAPHQL_PARSE_FAILED', 'GRAPHQL_VALIDATION_FAILED', 'BAD_USER_INPUT']);

/** The media type of an answer that Apollo did not make. */
export function mediaTypeFor(accept: string | undefined): string {
  return accept?.includes('application/graphql-response+json') ? graphType : jsonType;
}

/** The answer to a request whose body could be read, with the status that the protocol gives its errors. */
export function httpAnswer(
  result: { data?: unknown; errors?: GraphQLFormattedError[] },
  { status, mediaType, requestId, allow }: { status?: number; mediaType: string; requestId: string; allow?: string },
): GraphHttpAnswer {
  const errors = result.errors?.map((error) => ({ ...error, extensions: { ...error.extensions, requestId } }));
  const headers: Record<string, string> = { 'content-type': mediaType, ...(allow && { allow }) };
  const hasData = result.data !== undefined && result.data !== null;
  const codes = errors?.map((error) => (error.extensions as { code?: string }).code ?? '') ?? [];
  let answered = status ?? 200;
  if (!hasData && codes.includes('UNAVAILABLE')) answered = 503;
  else if (!hasData && codes.includes('RATE_LIMITED')) answered = 429;
  else if (result.data === undefined && codes.length > 0 && codes.every((code) => documentFaults.has(code))) {
    answered = mediaType === graphType ? 400 : 200;
  }
  Object.assign(headers, waitHeaders(answered, errors));
  return { status: answered, headers, body: `${JSON.stringify({ ...result, errors })}\n` };
}

/** The answer when nothing could be executed because of the token, the body or its size. */
export function refusalAnswer(errors: GraphQLFormattedError[], error: unknown, mediaType: string): GraphHttpAnswer {
  const code = errors[0]?.extensions?.code;
  const status = error instanceof UnsupportedMediaType ? 415 : refusalStatus(code, mediaType);
  const headers = { 'content-type': mediaType, ...waitHeaders(status, errors) };
  return { status, headers, body: `${JSON.stringify({ errors })}\n` };
}

function refusalStatus(code: unknown, mediaType: string): number {
  switch (code) {
    case 'UNAUTHENTICATED':
      return mediaType === graphType ? 401 : 200;
    case 'FORBIDDEN':
      return 403;
    case 'TOO_LARGE':
      return 413;
    case 'RATE_LIMITED':
      return 429;
    case 'UNAVAILABLE':
      return 503;
    case 'INTERNAL_SERVER_ERROR':
      return 500;
    default:
      return 400;
  }
}

// When to come again, of the error that lasts longest; beside a 429 what REST says of its limit too.
function waitHeaders(status: number, errors: readonly GraphQLFormattedError[] = []): Record<string, string> {
  if (status !== 503 && status !== 429) return {};
  const seconds = String(Math.max(1, Math.ceil(Math.max(0, ...errors.map(waitMs)) / 1000)));
  const headers: Record<string, string> = { 'retry-after': seconds };
  const limited = errors.filter(({ extensions }) => extensions?.code === 'RATE_LIMITED');
  if (status !== 429 || limited.length === 0) return headers;
  const longest = limited.reduce((one, other) => (waitMs(other) > waitMs(one) ? other : one));
  return {
    ...headers,
    'ratelimit-limit': String(longest.extensions?.limit),
    'ratelimit-remaining': '0',
    'ratelimit-reset': seconds,
  };
}

function waitMs({ extensions }: GraphQLFormattedError): number {
  return Number(extensions?.retryAfterMs ?? 0);
}

import { z } from 'zod';
import { CliFailure, sentenceOf } from './failure.ts';
import { printable } from './terminal.ts';

export const defaultUrl = 'http://127.0.0.1:4000';

export interface GatewayOptions {
  /** Where the gateway is, `http://host:port`; a path before the routes is kept. */
  url: string;
  /** JWT of a user; what it may do is the gateway's to say. */
  token?: string;
  /** Replaces the global one in tests. */
  fetch?: typeof fetch;
  timeoutMs?: number;
}

/** What the gateway answered, whatever the status. `body` is parsed JSON, undefined when empty or not JSON. */
export interface Answer {
  status: number;
  body: unknown;
  retryAfterMs?: number;
}

/** Nothing answered: refused, reset, timed out, no such name. Trying again may help. */
export class Unreachable extends CliFailure {}

/** An operation that GraphQL answered with an error; `code` is the first one's `extensions.code`. */
export class GraphqlRefusal extends CliFailure {
  readonly code: string;

  constructor(message: string, code: string) {
    super(message);
    this.code = code;
  }
}

const faultBody = z.object({
  message: z.string().optional(),
  request_id: z.string().optional(),
  errors: z.array(z.object({ path: z.string().optional(), message: z.string() })).optional(),
});
const graphqlBody = z.object({
  // Absent when the request itself was refused.
  data: z.unknown().optional(),
  errors: z
    .array(z.object({ message: z.string(), extensions: z.object({ code: z.string().optional() }).optional() }))
    .optional(),
});

/** Calls the gateway over its public interfaces and turns what goes wrong into sentences. */
export class GatewayClient {
  readonly url: string;
  readonly #token: string | undefined;
  readonly #fetch: typeof fetch;
  readonly #timeoutMs: number;

  constructor({ url, token, fetch: fetchWith = fetch, timeoutMs = 30_000 }: GatewayOptions) {
    this.url = parsedUrl(url);
    this.#token = token?.replace(/^Bearer\s+/i, '').trim() || undefined;
    this.#fetch = fetchWith;
    this.#timeoutMs = timeoutMs;
  }

  /** @throws CliFailure (2) when no token was given */
  get userToken(): string {
    if (this.#token !== undefined) return this.#token;
    throw new CliFailure('This needs --token or PARLEY_TOKEN: the token that users.login gives an ADMIN.', 2);
  }

  /** Address of the same gateway for graphql-ws. */
  get socketUrl(): string {
    return `${this.url.replace(/^http/, 'ws')}/graphql`;
  }

  /**
   * One call of a dot-named route. A string is sent as it is, anything else as JSON.
   *
   * @param token instead of the user's
   * @throws Unreachable
   */
  async call(route: string, body: unknown, token = this.userToken): Promise<Answer> {
    let response: Response;
    let text: string;
    try {
      response = await this.#fetch(`${this.url}/${route}`, {
        method: 'POST',
        headers: { 'content-type': 'application/json', accept: 'application/json', authorization: `Bearer ${token}` },
        body: typeof body === 'string' ? body : JSON.stringify(body),
        redirect: 'manual',
        signal: AbortSignal.timeout(this.#timeoutMs),
      });
      text = await response.text();
    } catch (error) {
      throw new Unreachable(`The gateway at ${this.url} cannot be reached: ${networkReason(error)}.`);
    }
    const location = response.headers.get('location');
    if (response.status >= 300 && response.status < 400) {
      throw new CliFailure(`${this.url} redirects to ${location ?? 'somewhere else'}: give the right --url.`);
    }
    const retryAfterMs = parseRetryAfter(response.headers.get('retry-after'), Date.now());
    return { status: response.status, body: parsedJson(text), ...(retryAfterMs !== undefined && { retryAfterMs }) };
  }

  /**
   * A call that must succeed, with the answer in the expected shape.
   *
   * @throws CliFailure with the gateway's own words
   */
  async rest<T>(route: string, body: unknown, shape: z.ZodType<T>, token?: string): Promise<T> {
    const answer = await this.call(route, body, token);
    if (answer.status >= 300) throw new CliFailure(`${route}: ${refusalOf(answer)}`);
    return expected(route, shape, answer.body);
  }

  /** @throws GraphqlRefusal with the first error's message; CliFailure for anything else */
  async graphql<T>(query: string, variables: Record<string, unknown>, shape: z.ZodType<T>): Promise<T> {
    const answer = await this.call('graphql', { query, variables });
    const parsed = graphqlBody.safeParse(answer.body);
    const fault = parsed.data?.errors?.[0];
    if (fault) throw new GraphqlRefusal(printable(fault.message, 500), fault.extensions?.code ?? 'UNKNOWN');
    if (!parsed.success || answer.status >= 300) throw new CliFailure(`graphql: ${refusalOf(answer)}`);
    return expected('graphql', shape, parsed.data.data);
  }
}

/** The gateway's reason in one sentence, for any answer that is not 2xx. */
export function refusalOf({ status, body }: Answer): string {
  const fault = faultBody.safeParse(body).data;
  const details = (fault?.errors ?? [])
    .slice(0, 3)
    .map(({ path, message }) => (path ? `${path}: ${message}` : message));
  const more = (fault?.errors?.length ?? 0) - details.length;
  if (more > 0) details.push(`and ${more} more`);
  const reason = [fault?.message, ...details.filter((detail) => detail !== fault?.message)].filter(Boolean).join('; ');
  if (reason) return `${printable(reason, 1000)} (${status})`;
  if (status === 401 || status === 403) {
    return `the token is not accepted (${status}): it is expired, revoked, of another gateway or of another kind`;
  }
  if (status === 404) return 'there is no such route (404): is this address a Parley gateway?';
  return `the gateway answered ${status}${fault?.request_id ? `, request ${printable(fault.request_id)}` : ''}`;
}

/** `Retry-After` as seconds or as a date, in milliseconds from now; undefined when absent or unreadable. */
export function parseRetryAfter(header: string | null, now: number): number | undefined {
  if (header === null || header.trim() === '') return undefined;
  if (/^\s*\d+\s*$/.test(header)) return Number(header) * 1000;
  const at = Date.parse(header);
  return Number.isNaN(at) ? undefined : Math.max(0, at - now);
}

function parsedUrl(url: string): string {
  const parsed = URL.canParse(url) ? new URL(url) : undefined;
  if (parsed?.protocol !== 'http:' && parsed?.protocol !== 'https:') {
    throw new CliFailure(`--url must be an address such as ${defaultUrl}, got "${printable(url)}".`, 2);
  }
  return `${parsed.origin}${parsed.pathname}`.replace(/\/+$/, '');
}

function parsedJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

function expected<T>(route: string, shape: z.ZodType<T>, body: unknown): T {
  const parsed = shape.safeParse(body);
  if (parsed.success) return parsed.data;
  throw new CliFailure(`${route}: the answer is not what a Parley gateway of this version gives; check --url.`);
}

function networkReason(error: unknown): string {
  if (error instanceof Error && error.name === 'TimeoutError') return 'no answer in time';
  // fetch says "fetch failed" and hides the reason in the cause.
  return sentenceOf(error instanceof Error && error.cause !== undefined ? error.cause : error);
}

import type { IncomingHttpHeaders } from 'node:http';
import { z } from 'zod';
import { type ErrorCode, type Fault, InvalidInput, maxFaults } from '../domain/errors.ts';
import type { Graph, GraphCtx, Operation } from '../graphql/execute.ts';
import { errorAnswer, type RestAnswer } from './errors.ts';

export type { RestAnswer } from './errors.ts';

/** One row of a contract's table, ready to be served. */
export interface RestRoute {
  /** `/conversations.list` */
  path: string;
  method: 'POST';
  row: Row;
  /** What the contract's document shows. */
  sample: { request?: unknown; answer?: unknown };
  operation: Operation;
  /** Of each answer: the field that replaces the call. */
  headers: Record<string, string>;
  maxBodyBytes: number;
  /** Whether the caller may call it at all: for others the body need not be parsed, `answer` refuses them. */
  mayCall(ctx: GraphCtx): boolean;
  /** Never throws: faults become the contract's answers. `body` is parsed JSON, `{}` where none was sent. */
  answer(ctx: GraphCtx, request: { body: unknown; headers: IncomingHttpHeaders }): Promise<RestAnswer>;
  /** The contract's answer for what went wrong before the row ran: authentication, body, limits. */
  refuse(error: unknown, requestId: string): RestAnswer;
}

type Variables = Record<string, unknown>;

/** One endpoint: the operation it runs, the shape in and the shape out. Rights are the operation's. */
export interface Row<In extends Variables = Variables, Data = never> {
  /** A GraphQL document with one operation; its variables are what `in` gives. */
  runs: string;
  /** Default 200. */
  status?: number | ((data: Data) => number);
  /** Checks types and required fields, and makes the variables. */
  in: z.ZodType<In>;
  /** Adds what stands in headers. */
  headers?(variables: In, headers: IncomingHttpHeaders): Variables;
  /** What a good answer's body is, strictly; left out: empty. Documented, and what tests hold each answer against. */
  answer?: z.ZodType;
  /** The answer's body; left out or undefined: empty. May throw NotFound for what the operation gave as null. */
  out?(data: Data, variables: In): unknown;
  /** Statuses where the contract differs from the table in errors.ts. */
  errors?: Partial<Record<ErrorCode, number>>;
  /** What the description says of it; left out: what the schema says of the operation. */
  says?: string;
  /** Statuses beside those of all rows that the description tells of. */
  faults?: number[];
  /** Names of the body's fields for what the operation's faults call otherwise. */
  renames?: Record<string, string>;
  /** Default 100 kB. */
  maxBodyBytes?: number;
}

/** Keeps the types of a row's shape in and its data together. */
export function row<In extends Variables, Data>(of: Row<In, Data>): Row {
  return of as unknown as Row;
}

const defaultMaxBodyBytes = 100_000;

/** Compiles the rows of a table; an operation that does not fit the schema ends the start. */
export function compileRows(
  graph: Graph,
  table: Record<string, Row>,
  samples: Record<string, RestRoute['sample']> = {},
): RestRoute[] {
  return Object.entries(table).map(([name, one]) => ({
    ...compileRow(graph, name, one),
    sample: samples[name] ?? {},
  }));
}

function compileRow(graph: Graph, name: string, one: Row): Omit<RestRoute, 'sample'> {
  const operation = graph.compileOperation(one.runs);
  const [field] = operation.rootFields;
  const called = { name, field: field! };
  return {
    path: `/${name}`,
    method: 'POST',
    row: one,
    operation,
    headers: { deprecation: deprecatedSince, link: successorOf(operation) },
    maxBodyBytes: one.maxBodyBytes ?? defaultMaxBodyBytes,
    // The row's own statuses are for what its operation says: a bad token is 403 where a failed login is 401.
    refuse: (error, requestId) => errorAnswer(error, requestId),
    mayCall(ctx) {
      try {
        operation.allow(ctx);
        return true;
      } catch {
        return false;
      }
    },
    async answer(ctx, { body, headers }) {
      try {
        operation.allow(ctx);
        ctx.core.legacyCalls.note(called, ctx.principal);
        const read = parse(one.in, body);
        const variables = one.headers ? one.headers(read, headers) : read;
        const data = (await operation.run(ctx, variables)) as never;
        const status = typeof one.status === 'function' ? one.status(data) : (one.status ?? 200);
        return { status, body: one.out?.(data, read) };
      } catch (error) {
        const answer = errorAnswer(error, ctx.requestId, one);
        if (answer.status >= 500)
          ctx.core.log[answer.status === 500 ? 'error' : 'warn'](
            { err: error, requestId: ctx.requestId, route: name },
            'request failed',
          );
        return answer;
      }
    },
  };
}

/** When the GraphQL API was there, as RFC 9745 writes it: the first of January 2026. */
const deprecatedSince = '@1767225600';

/** Where the call is described, and the field that does the same (RFC 8288). */
function successorOf({ kind, rootFields }: Operation): string {
  return `</docs>; rel="deprecation"; type="text/html", </graphql>; rel="successor-version"; title="${kind} ${rootFields.join(', ')}"`;
}

function parse(schema: z.ZodType<Variables>, body: unknown): Variables {
  const result = schema.safeParse(body, { error: sentence });
  if (result.success) return result.data;
  throw new InvalidInput(
    result.error.issues
      .slice(0, maxFaults)
      .map((issue): Fault => ({ path: pathText(issue.path), message: issue.message })),
  );
}

function pathText(path: PropertyKey[]): string {
  return path
    .map((part) => (typeof part === 'number' ? `[${part}]` : `.${String(part)}`))
    .join('')
    .replace(/^\./, '');
}

const kinds: Record<string, string> = {
  string: 'a text',
  number: 'a number',
  int: 'a whole number',
  boolean: 'true or false',
  array: 'a list',
  object: 'an object',
  record: 'an object',
};

// What was wrong and what would be right, without the library's words.
function sentence(issue: z.core.$ZodRawIssue): string | undefined {
  if (issue.code === 'invalid_type') {
    return issue.input === undefined
      ? 'is required'
      : `must be ${kinds[issue.expected] ?? issue.expected}, got ${shown(issue.input)}`;
  }
  return undefined;
}

/** The beginning of a value as JSON, for messages. */
export function shown(value: unknown): string {
  const text = JSON.stringify(value) ?? String(value);
  return text.length > 60 ? `${text.slice(0, 60).toWellFormed()}...` : text;
}

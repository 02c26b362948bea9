import { z } from 'zod';
import type { RestRoute } from './run-row.ts';

type Json = Record<string, unknown>;

/**
 * The rows as OpenAPI 3.1: what they say is the description of the operation that they run, shapes are those that they
 * check, examples are those of the contract's documents.
 *
 * @param version of Parley
 */
export function openApiOf(routes: readonly RestRoute[], version: string): Json {
  return {
    openapi: '3.1.1',
    info: {
      title: 'Parley, the older REST contracts',
      version,
      description: introduction,
    },
    servers: [{ url: '/' }],
    tags: [...new Set(routes.map(tagOf))].map((name) => ({ name })),
    paths: Object.fromEntries(routes.map((route) => [route.path, { post: operationOf(route) }])),
    components: { securitySchemes, schemas: { Fault: faultSchema }, responses: faultResponses },
  };
}

const introduction = [
  'Each call runs one operation of the GraphQL API at `/graphql`, with the same rights and the same checks; new clients',
  'use that API. `Authorization` carries the token, with or without `Bearer` before it. Every answer names the field that',
  'replaces the call in its `Link` header.',
].join(' ');

const securitySchemes = {
  user: {
    type: 'http',
    scheme: 'bearer',
    bearerFormat: 'JWT',
    description: 'The token of users.login or users.signup; lives one day.',
  },
  source: {
    type: 'http',
    scheme: 'bearer',
    bearerFormat: 'JWT',
    description: 'The token that sources.create has told once; opens what the source itself calls, nothing else.',
  },
};

const faultSchema = {
  type: 'object',
  required: ['message'],
  properties: {
    message: { type: 'string', description: 'What is wrong, and what would be right.' },
    errors: {
      type: 'array',
      description: 'All that is wrong with the body, where fields are at fault; 20 at most.',
      items: {
        type: 'object',
        required: ['path', 'message'],
        properties: { path: { type: 'string' }, message: { type: 'string' } },
      },
    },
  },
};

function fault(description: string, more: Json = {}): Json {
  return { description, content: { 'application/json': { schema: { $ref: '#/components/schemas/Fault' } } }, ...more };
}

const retryAfter = { headers: { 'Retry-After': { schema: { type: 'integer' }, description: 'Seconds to wait.' } } };

const faultResponses: Record<string, Json> = {
  BadRequest: fault('The body is not what the call takes; the message says what would be right.'),
  Forbidden: fault('The token is missing or not valid (then without a body), or may not do this.'),
  Unauthenticated: fault('E-mail or password is wrong (then without a body), or the e-mail has an account already.'),
  NotFound: fault('There is nothing with this id.'),
  Conflict: fault('It is there already, or its state does not allow this.'),
  Mismatch: fault('The Idempotency-Key was used with another body.'),
  TooLarge: fault('The body is too large.'),
  WrongType: fault('The body is not sent as application/json.'),
  TooMany: fault('Too many in a short time.', retryAfter),
  Unavailable: fault('The database is away or too much waits. The same call may pass later.', retryAfter),
};

const namesOfFaults: Record<number, string> = {
  400: 'BadRequest',
  401: 'Unauthenticated',
  403: 'Forbidden',
  404: 'NotFound',
  409: 'Conflict',
  413: 'TooLarge',
  415: 'WrongType',
  422: 'Mismatch',
  429: 'TooMany',
  503: 'Unavailable',
};

/** What a row may answer beside what all of them may. */
function faultsOf({ row, operation }: RestRoute): number[] {
  const own = Object.values(row.errors ?? {});
  // An id of ours has a pattern; those of sources are any text.
  const namesSomething = Object.values(schemaOf(row.in).properties ?? {}).some((field) => hasPattern(field));
  const unknown = namesSomething ? (row.errors?.NOT_FOUND ?? 404) : 400;
  const throttled = operation.audiences.includes('anonymous') ? [429] : [];
  return [...new Set([400, 403, 413, 415, 503, unknown, ...throttled, ...own, ...(row.faults ?? [])])].sort();
}

function schemaOf(schema: z.ZodType): z.core.JSONSchema.BaseSchema {
  return z.toJSONSchema(schema, { io: 'input', unrepresentable: 'any' });
}

function hasPattern(field: unknown): boolean {
  return JSON.stringify(field).includes('"pattern"');
}

// What the schema says ends with the codes that its users see.
function withoutCodes(description: string): string {
  return description.replaceAll(/ (?:[A-Z]+_[A-Z_]+|CONFLICT|UNAUTHENTICATED|FORBIDDEN)\b[^.]*\./g, '');
}

/** `conversations` of `/conversations.list`. */
function tagOf({ path }: RestRoute): string {
  return path.slice(1).split('.', 1)[0]!;
}

function operationOf(route: RestRoute): Json {
  const { row, sample, operation, path } = route;
  const schema = schemaOf(row.in);
  const isOpen = operation.audiences.includes('anonymous');
  const isOfSources = operation.audiences.includes('source');
  const forAdmins =
    operation.audiences.length === 1 && operation.audiences[0] === 'ADMIN' ? ' For administrators.' : '';
  const statuses = typeof row.status === 'function' ? [200, 202] : [row.status ?? 200];
  return {
    // For makers of clients: a name that is one in each language.
    operationId: path.slice(1).replaceAll(/[.-]/g, '_'),
    tags: [tagOf(route)],
    summary: row.says ?? withoutCodes(operation.description),
    description: `Runs \`${operation.kind} ${operation.rootFields.join(', ')}\` of the GraphQL API.${forAdmins}`,
    security: isOpen ? [] : [{ [isOfSources ? 'source' : 'user']: [] }],
    requestBody: {
      // No body at all counts as {}.
      required: (schema.required ?? []).length > 0 || schema.type === 'array',
      content: {
        'application/json': {
          schema,
          ...(sample.request !== undefined && { example: sample.request }),
        },
      },
    },
    responses: {
      ...Object.fromEntries(statuses.map((status) => [status, goodAnswer(route)])),
      ...Object.fromEntries(
        faultsOf(route).map((status) => [status, { $ref: `#/components/responses/${namesOfFaults[status]}` }]),
      ),
    },
  };
}

function goodAnswer({ row, sample }: RestRoute): Json {
  if (!row.answer) return { description: 'Done; without a body.' };
  return {
    description: 'Done.',
    content: {
      'application/json': {
        schema: z.toJSONSchema(row.answer, { unrepresentable: 'any' }),
        ...(sample.answer !== undefined && { example: sample.answer }),
      },
    },
  };
}

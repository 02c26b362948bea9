import { setImmediate as othersFirst } from 'node:timers/promises';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { type Core, createGraphCtx } from '../graphql/execute.ts';
import type { RestAnswer, RestRoute } from '../rest/run-row.ts';
import type { Admission } from './admission.ts';
import { addressOf, principalOf } from './caller.ts';
import { bodyFault, parseJson, readBody } from './json-body.ts';

/** Bytes of a body from which on others get a turn between its parts of the work. */
const largeBody = 100_000;

/** Serves the rows of the older contracts: reads the body, finds out who asks, and lets the row answer. */
export function restRoutes(
  app: FastifyInstance,
  { core, routes, admission }: { core: Core; routes: readonly RestRoute[]; admission: Admission },
): void {
  for (const route of routes) {
    app.route({
      method: route.method,
      url: route.path,
      config: { readsBody: true },
      handler: async (request, reply) => send(reply, route, await run({ core, admission }, route, request)),
      errorHandler: (error: unknown, request, reply) => send(reply, route, route.refuse(bodyFault(error), request.id)),
    });
  }
}

async function run(
  { core, admission }: { core: Core; admission: Admission },
  route: RestRoute,
  request: FastifyRequest,
): Promise<RestAnswer> {
  let leave: (() => void) | undefined;
  try {
    admission.check();
    const bytes = await readBody(request.raw, route.maxBodyBytes);
    leave = admission.enter();
    const principal = await principalOf(core, request.raw);
    const ctx = createGraphCtx(core, {
      principal,
      requestId: request.id,
      address: addressOf(request.raw, core.settings.trustProxy),
    });
    // Who may not call does not have a megabyte parsed.
    const body = bytes && route.mayCall(ctx) ? parseJson(bytes) : {};
    if (bytes && bytes.length > largeBody) await othersFirst();
    return await route.answer(ctx, { body, headers: request.headers });
  } catch (error) {
    return route.refuse(error, request.id);
  } finally {
    leave?.();
  }
}

function send(reply: FastifyReply, route: RestRoute, { status, headers, body }: RestAnswer): FastifyReply {
  reply.code(status).headers(route.headers);
  if (headers) reply.headers(headers);
  if ((status === 429 || status === 503) && !reply.hasHeader('retry-after')) reply.header('retry-after', '2');
  if (body === undefined) return reply.send();
  if (!reply.hasHeader('content-type')) reply.header('content-type', 'application/json; charset=utf-8');
  return reply.send(JSON.stringify(body));
}

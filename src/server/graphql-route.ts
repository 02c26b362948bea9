import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { allow } from '../domain/access.ts';
import { InvalidInput } from '../domain/errors.ts';
import { type Core, createGraphCtx, type Graph, type GraphHttpAnswer } from '../graphql/execute.ts';
import type { Admission } from './admission.ts';
import { addressOf, principalOf } from './caller.ts';
import { bodyFault, checkText, parseJson, readBody } from './json-body.ts';

/** Largest GraphQL request, over HTTP and over a socket. */
export const maxGraphBytes = 100 * 1024;

/** GraphQL over HTTP: POST with JSON, GET for queries. @see graphql-http's audits, all of which pass */
export function graphqlRoute(app: FastifyInstance, parts: { core: Core; graph: Graph; admission: Admission }): void {
  const { graph } = parts;
  const answer = async (request: FastifyRequest, reply: FastifyReply) => send(reply, await run(parts, request));
  const errorHandler = (error: unknown, request: FastifyRequest, reply: FastifyReply) =>
    send(reply, graph.refuse(bodyFault(error), { headers: request.headers, requestId: request.id }));
  app.route({ method: 'POST', url: '/graphql', config: { readsBody: true }, handler: answer, errorHandler });
  app.route({ method: 'GET', url: '/graphql', exposeHeadRoute: false, handler: answer, errorHandler });
}

async function run(
  { core, graph, admission }: { core: Core; graph: Graph; admission: Admission },
  request: FastifyRequest,
): Promise<GraphHttpAnswer> {
  const { headers } = request;
  let leave: (() => void) | undefined;
  try {
    admission.check();
    const isGet = request.method === 'GET';
    const bytes = isGet ? undefined : await readBody(request.raw, maxGraphBytes);
    leave = admission.enter();
    const principal = await principalOf(core, request.raw);
    // Who has nothing to ask here learns nothing of the schema either.
    allow({ principal }, '__typename');
    const search = isGet ? searchOf(request.raw.url ?? '') : '';
    const body = isGet ? parametersOf(search) : bytes && parseJson(bytes);
    const address = addressOf(request.raw, core.settings.trustProxy);
    const ctx = createGraphCtx(core, { principal, requestId: request.id, address });
    return await graph.http({ method: isGet ? 'GET' : 'POST', headers, search, body, ctx });
  } catch (error) {
    return graph.refuse(error, { headers, requestId: request.id });
  } finally {
    leave?.();
  }
}

function searchOf(url: string): string {
  const start = url.indexOf('?');
  return start < 0 ? '' : url.slice(start);
}

// Apollo reads the parameters itself; here they are checked as the JSON of a POST is.
function parametersOf(search: string): Record<string, unknown> {
  const parameters: Record<string, unknown> = {};
  for (const [name, value] of new URLSearchParams(search)) {
    checkText(value);
    if (Object.hasOwn(parameters, name)) throw new InvalidInput(name, 'must be given once');
    parameters[name] = name === 'variables' || name === 'extensions' ? parseJson(Buffer.from(value)) : value;
  }
  return parameters;
}

function send(reply: FastifyReply, answer: GraphHttpAnswer): FastifyReply {
  return reply.code(answer.status).headers(answer.headers).send(answer.body);
}

import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { InvalidInput } from '../domain/errors.ts';
import { type Core, createGraphCtx, type Graph, type GraphHttpAnswer } from '../graphql/execute.ts';
import { addressOf, principalOf } from './caller.ts';
import { bodyFault, checkText, parseJson, readBody } from './json-body.ts';

/** Largest GraphQL request, over HTTP and over a socket. */
export const maxGraphBytes = 100 * 1024;

/** GraphQL over HTTP: POST with JSON, GET for queries. @see graphql-http's audits, all of which pass */
export function graphqlRoute(app: FastifyInstance, { core, graph }: { core: Core; graph: Graph }): void {
  const answer = async (request: FastifyRequest, reply: FastifyReply) => send(reply, await run(core, graph, request));
  const errorHandler = (error: unknown, request: FastifyRequest, reply: FastifyReply) =>
    send(reply, graph.refuse(bodyFault(error), { headers: request.headers, requestId: request.id }));
  app.route({ method: 'POST', url: '/graphql', config: { readsBody: true }, handler: answer, errorHandler });
  app.route({ method: 'GET', url: '/graphql', exposeHeadRoute: false, handler: answer, errorHandler });
}

async function run(core: Core, graph: Graph, request: FastifyRequest): Promise<GraphHttpAnswer> {
  const { headers } = request;
  try {
    const isGet = request.method === 'GET';
    const bytes = isGet ? undefined : await readBody(request.raw, maxGraphBytes);
    const principal = await principalOf(core, request.raw);
    const search = isGet ? searchOf(request.raw.url ?? '') : '';
    const body = isGet ? parametersOf(search) : bytes && parseJson(bytes);
    const address = addressOf(request.raw, core.settings.trustProxy);
    const ctx = createGraphCtx(core, { principal, requestId: request.id, address });
    return await graph.http({ method: isGet ? 'GET' : 'POST', headers, search, body, ctx });
  } catch (error) {
    return graph.refuse(error, { headers, requestId: request.id });
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

import type { IncomingHttpHeaders } from 'node:http';
import { ApolloServer, type ApolloServerPlugin, HeaderMap } from '@apollo/server';
import {
  ApolloServerPluginCacheControlDisabled,
  ApolloServerPluginLandingPageDisabled,
  ApolloServerPluginUsageReportingDisabled,
} from '@apollo/server/plugin/disabled';
import {
  type DocumentNode,
  type ExecutionResult,
  type FieldNode,
  GraphQLError,
  type GraphQLFormattedError,
  type GraphQLSchema,
  getOperationAST,
  isAbstractType,
  Kind,
  OperationTypeNode,
  parse,
} from 'graphql';
import { type Audience, actionOf, allow, rights } from '../domain/access.ts';
import type { Core, Principal } from '../domain/context.ts';
import { type DomainError, Unavailable } from '../domain/errors.ts';
import { withinSize } from './answer-size.ts';
import type { GraphCtx } from './context.ts';
import { persistedOf, storeOf } from './document-stores.ts';
import {
  compileStored,
  DocumentRefused,
  Documents,
  operationOf,
  type PreparedDocument,
  type Run,
} from './documents.ts';
import { type FaultPlace, formatGraphError as formatError, toDomainError } from './errors.ts';
import { type GraphHttpAnswer, httpAnswer, mediaTypeFor, refusalAnswer } from './http-answer.ts';
import { checkCost, graphLimits, mayReadSchema } from './limits.ts';
import { observed } from './observed.ts';

export { type Core, type Ctx, createCtx, type Principal } from '../domain/context.ts';
export { createGraphCtx, type GraphCtx } from './context.ts';
export type { PreparedDocument, Run } from './documents.ts';
export { DocumentRefused } from './documents.ts';
export { toDomainError, UnsupportedMediaType } from './errors.ts';
export type { GraphHttpAnswer } from './http-answer.ts';
export { globalId } from './ids.ts';
export { parseInstant } from './scalars.ts';

/** One operation as REST rows run it. */
export interface Operation {
  kind: 'query' | 'mutation' | 'subscription';
  /** The names of its root fields. */
  rootFields: readonly string[];
  /** What the schema says of the first of them. */
  description: string;
  /** Who may run it. */
  audiences: readonly Audience[];
  /** Whether the caller may run it, before the input is looked at. @throws Unauthenticated, Forbidden */
  allow(ctx: GraphCtx): void;
  /** @throws the DomainError, or whatever was thrown, of the first fault */
  run(ctx: GraphCtx, variables: Record<string, unknown>): Promise<Record<string, unknown>>;
}

export interface GraphHttpRequest {
  method: 'GET' | 'POST';
  headers: IncomingHttpHeaders;
  /** Of a GET, with the question mark; else empty. */
  search: string;
  /** Of a POST the parsed JSON, of a GET its decoded parameters. */
  body: unknown;
  ctx: GraphCtx;
}

/** What a client sends for one operation, over a socket. */
export interface GraphRequest {
  query: string;
  operationName?: string | null;
  variables?: Record<string, unknown> | null;
}

/** A request that passed all checks before execution. */
export interface AdmittedOperation {
  prepared: PreparedDocument;
  kind: OperationTypeNode;
  operationName: string | undefined;
  variables: Record<string, unknown>;
  /** As `checkCost` counts it. */
  cost: number;
}

/** A result as it is sent: errors are formatted. */
export interface GraphResult {
  data?: unknown;
  errors?: GraphQLFormattedError[];
}

/** What goes with a request through Apollo. It is no GraphCtx: should Apollo ever execute by itself, no resolver would answer. */
interface ApolloContext {
  ctx: GraphCtx;
  /** Kept here, as the cache may throw a document out while its request runs. */
  prepared?: PreparedDocument;
  /** What it came to: Apollo gives back a text. */
  result?: GraphResult;
}

/** The one way into the schema: HTTP, sockets and REST rows share limits, execution and errors. */
export interface Graph {
  readonly schema: GraphQLSchema;
  /** Answers a GraphQL request over HTTP; never throws. */
  http(request: GraphHttpRequest): Promise<GraphHttpAnswer>;
  /** The answer for what went wrong before a GraphQL request could be read: token, body, limits. */
  refuse(error: unknown, request: { headers: IncomingHttpHeaders; requestId: string }): GraphHttpAnswer;
  /** Parses, validates and checks the limits of what came over a socket. @throws DocumentRefused */
  admit(request: GraphRequest, principal: Principal): AdmittedOperation;
  /** Runs a query or mutation. */
  execute(operation: AdmittedOperation, ctx: GraphCtx): Promise<GraphResult>;
  /** The compiled form of an admitted operation, with the 10 s deadline and the limit of an answer. */
  compiled(operation: AdmittedOperation): Run;
  /** Errors of any phase as a client of this principal sees them. */
  format(errors: readonly unknown[], who: { principal: Principal; requestId: string }): GraphQLFormattedError[];
  /** Compiles a document of ours with one operation. @throws Error at once when it does not fit the schema */
  compileOperation(document: string): Operation;
  stop(): Promise<void>;
}

/** Starts Apollo on a schema, with executions through graphql-jit. */
export async function createGraph(core: Core, schema: GraphQLSchema): Promise<Graph> {
  guardTypeResolvers(schema, core.log);
  const documents = new Documents(schema);

  const formatGraphError: typeof formatError = (error, place) => {
    const told = formatError(error, place);
    core.meter.failed(String(told.extensions?.code));
    return told;
  };
  const runOf = (prepared: PreparedDocument, operationName: string | undefined, compileNow?: boolean) =>
    observed(core, operationOf(prepared, operationName), documents.runOf(prepared, operationName, compileNow));
  const placeOf = (who: { principal: Principal; requestId: string }): FaultPlace => ({
    log: core.log,
    requestId: who.requestId,
    hidesSchema: !mayReadSchema(core.settings, who.principal),
  });
  const format: Graph['format'] = (errors, who) => errors.map((error) => formatGraphError(error, placeOf(who)));
  const finish = (executed: ExecutionResult, kind: OperationTypeNode, ctx: GraphCtx): GraphResult => {
    const result = withinSize(executed, kind);
    if (!result.errors?.length) return { data: result.data };
    const listed = result.data === undefined ? result.errors.slice(0, graphLimits.listedErrors) : result.errors;
    return { ...(result.data !== undefined && { data: result.data }), errors: format(listed, ctx) };
  };
  const checkOperation = (operation: Omit<AdmittedOperation, 'cost'>, principal: Principal): number => {
    if (operation.prepared.introspects && !mayReadSchema(core.settings, principal)) {
      throw new GraphQLError('introspection is switched off', { extensions: { code: 'GRAPHQL_VALIDATION_FAILED' } });
    }
    return checkCost(
      schema,
      operation.prepared.document,
      operationOf(operation.prepared, operation.operationName),
      operation.variables,
    );
  };

  const jitPlugin: ApolloServerPlugin<ApolloContext> = {
    async requestDidStart() {
      return {
        // What comes by its hash alone has a text only from here on.
        async didResolveSource({ source, contextValue }) {
          if (contextValue.prepared?.source !== source) contextValue.prepared = documents.prepare(source);
        },
        async didResolveOperation({ request, contextValue }) {
          try {
            const prepared = preparedOf(contextValue);
            const { operation } = operationOf(prepared, request.operationName);
            if (operation === OperationTypeNode.SUBSCRIPTION) {
              throw new GraphQLError('subscriptions run over a WebSocket (graphql-transport-ws) on this path', {
                extensions: { code: 'BAD_REQUEST' },
              });
            }
            const admitted = {
              prepared,
              kind: operation,
              operationName: request.operationName,
              variables: request.variables ?? {},
            };
            checkOperation(admitted, contextValue.ctx.principal);
          } catch (error) {
            throw with400(error instanceof DocumentRefused ? error.errors[0] : error);
          }
        },
        // Never null: Apollo would execute by itself then, without deadline.
        async responseForOperation({ request, contextValue }) {
          const { ctx } = contextValue;
          const prepared = preparedOf(contextValue);
          const run = runOf(prepared, request.operationName);
          const { operation } = operationOf(prepared, request.operationName);
          const result = finish(await inTime(run(undefined, ctx, request.variables ?? {})), operation, ctx);
          contextValue.result = result;
          return {
            http: { status: undefined, headers: new HeaderMap() },
            body: { kind: 'single', singleResult: result as ExecutionResult },
          };
        },
      };
    },
  };

  const apollo = new ApolloServer<ApolloContext>({
    schema,
    csrfPrevention: false, // no cookies, POST must be JSON, GET runs queries only
    // Decided per principal by checkOperation. Apollo's own switch works where it parses by itself, which depends on the
    // cache: it would refuse admins at random.
    introspection: true,
    includeStacktraceInErrorResponses: false,
    stopOnTerminationSignals: false,
    nodeEnv: 'production',
    allowBatchedHttpRequests: false,
    parseOptions: { maxTokens: graphLimits.tokens },
    documentStore: storeOf(documents),
    persistedQueries: { cache: persistedOf(documents) },
    logger: core.log,
    plugins: [
      ApolloServerPluginCacheControlDisabled(),
      ApolloServerPluginLandingPageDisabled(),
      ApolloServerPluginUsageReportingDisabled(),
      jitPlugin,
    ],
    // The request's id is put in by `httpAnswer`: Apollo does not say here whose error it is.
    formatError: (_formatted, error) => formatGraphError(error, { log: core.log, requestId: '' }),
  });
  await apollo.start();

  const graph: Graph = {
    schema,
    format,
    refuse(error, { headers, requestId }) {
      return refusalAnswer(
        [formatGraphError(error, { log: core.log, requestId, hidesSchema: true })],
        error,
        mediaTypeFor(headers.accept),
      );
    },
    async http({ method, headers, search, body, ctx }) {
      let prepared: PreparedDocument | undefined;
      try {
        const query = (body as { query?: unknown } | null)?.query;
        if (typeof query === 'string' && query !== '') prepared = documents.prepare(query);
      } catch (error) {
        if (!(error instanceof DocumentRefused)) return graph.refuse(error, { headers, requestId: ctx.requestId });
        return httpAnswer(
          { errors: format(error.errors, ctx) },
          { status: 400, requestId: ctx.requestId, mediaType: mediaTypeFor(headers.accept) },
        );
      }
      const contextValue: ApolloContext = { ctx, prepared };
      const answer = await apollo.executeHTTPGraphQLRequest({
        httpGraphQLRequest: { method, search, body: method === 'GET' ? undefined : body, headers: headerMap(headers) },
        context: async () => contextValue,
      });
      const text = answer.body.kind === 'complete' ? answer.body.string : '';
      const rest = {
        mediaType: answer.headers.get('content-type') ?? '',
        allow: answer.headers.get('allow'),
        requestId: ctx.requestId,
      };
      // Apollo writes errors first, so an answer without any is passed on as it is.
      if (!text.startsWith('{"errors"')) {
        return { status: answer.status ?? 200, headers: { 'content-type': rest.mediaType }, body: text };
      }
      const result = contextValue.result ?? (JSON.parse(text) as GraphResult);
      return httpAnswer(result, { ...rest, status: answer.status });
    },
    admit(request, principal) {
      const prepared = documents.prepare(request.query);
      const operationName = request.operationName ?? undefined;
      const operation = operationOf(prepared, operationName);
      const admitted = { prepared, kind: operation.operation, operationName, variables: request.variables ?? {} };
      try {
        return { ...admitted, cost: checkOperation(admitted, principal) };
      } catch (error) {
        throw error instanceof GraphQLError ? new DocumentRefused([error]) : error;
      }
    },
    async execute({ prepared, kind, operationName, variables }, ctx) {
      const run = runOf(prepared, operationName);
      return finish(await inTime(run(undefined, ctx, variables)), kind, ctx);
    },
    compiled({ prepared, operationName }) {
      const run = runOf(prepared, operationName, true);
      return async (root, ctx, variables) => withinSize(await inTime(run(root, ctx, variables)), 'subscription');
    },
    compileOperation(document) {
      const parsed = parse(document);
      const definition = getOperationAST(parsed)!;
      const run = observed(core, definition, compileStored(schema, parsed));
      const rootFields = rootFieldsOf(parsed);
      const actions = rootFields.map(actionOf);
      const rootType = schema.getRootType(definition.operation)!;
      return {
        kind: definition.operation,
        rootFields,
        description: rootType.getFields()[rootFields[0]!]!.description ?? '',
        audiences: rights[actions[0]!],
        allow(ctx) {
          for (const action of actions) allow(ctx, action);
        },
        async run(ctx, variables) {
          const { data, errors } = await inTime(run(undefined, ctx, variables));
          if (errors?.length) {
            core.meter.failed(toDomainError(errors[0]).code);
            throw originalOf(errors[0]);
          }
          return data as Record<string, unknown>;
        },
      };
    },
    stop: () => apollo.stop(),
  };
  return graph;
}

function preparedOf({ prepared }: ApolloContext): PreparedDocument {
  if (!prepared) throw new Error('a request came to its execution without a checked document');
  return prepared;
}

// graphql-jit loses what a type resolver throws once a promise lies before it: the operation would hang and the
// rejection end the process. Without an answer it makes an error of the field.
function guardTypeResolvers(schema: GraphQLSchema, log: Core['log']): void {
  for (const type of Object.values(schema.getTypeMap())) {
    const resolve = isAbstractType(type) && type.resolveType;
    if (!resolve) continue;
    type.resolveType = (...given) => {
      try {
        return resolve(...given);
      } catch (error) {
        log.error({ type: type.name, err: error }, 'a type could not be told');
        return undefined;
      }
    };
  }
}

// Our own documents have one operation and no fragments at their root.
function rootFieldsOf(document: DocumentNode): string[] {
  return document.definitions.flatMap((definition) =>
    definition.kind === Kind.OPERATION_DEFINITION
      ? definition.selectionSet.selections.map((selection) => (selection as FieldNode).name.value)
      : [],
  );
}

/** The result, or UNAVAILABLE after 10 s. What still runs then ends by the statement timeout. */
function inTime(work: ExecutionResult | Promise<ExecutionResult>): ExecutionResult | Promise<ExecutionResult> {
  if (!(work instanceof Promise)) return work;
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => {
      resolve({
        data: null,
        errors: [wrapped(new Unavailable(`the operation took longer than ${graphLimits.deadlineMs / 1000} s`))],
      });
    }, graphLimits.deadlineMs);
    work.then(resolve, reject).finally(() => clearTimeout(timer));
  });
}

function wrapped(error: DomainError): GraphQLError {
  return new GraphQLError(error.message, { originalError: error });
}

// The coercion of variables throws GraphQLErrors of its own: those stay, toDomainError knows them.
function originalOf(error: GraphQLError | undefined): unknown {
  let original: unknown = error;
  while (original instanceof GraphQLError && original.originalError) original = original.originalError;
  return original instanceof GraphQLError ? toDomainError(error) : original;
}

function with400(error: unknown): unknown {
  if (!(error instanceof GraphQLError)) return error;
  const extensions = { ...error.extensions, http: { status: 400, headers: new HeaderMap() } };
  return new GraphQLError(error.message, { nodes: error.nodes, extensions });
}

function headerMap(headers: IncomingHttpHeaders): HeaderMap {
  const map = new HeaderMap();
  for (const name of ['accept', 'content-type'] as const) {
    const value = headers[name];
    if (value !== undefined) map.set(name, value);
  }
  return map;
}

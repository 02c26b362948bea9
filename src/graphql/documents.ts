import { hash } from 'node:crypto';
import {
  type DocumentNode,
  type ExecutionResult,
  execute,
  type FloatValueNode,
  GraphQLError,
  type GraphQLSchema,
  getOperationAST,
  type IntValueNode,
  isValueNode,
  Kind,
  type OperationDefinitionNode,
  type ValueNode,
  validate,
  visit,
} from 'graphql';
import { compileQuery, isCompiledQuery } from 'graphql-jit';
import { may } from '../domain/access.ts';
import { isStorableText } from '../domain/text.ts';
import { isCompilable } from './compilable.ts';
import type { GraphCtx } from './context.ts';
import { checkShape, graphLimits, parseLimited } from './limits.ts';
import { missingDefaults } from './variable-defaults.ts';

/** Runs one operation; never throws, faults are in `errors` as they were thrown. */
export type Run = (
  root: unknown,
  ctx: GraphCtx,
  variables: Readonly<Record<string, unknown>>,
) => ExecutionResult | Promise<ExecutionResult>;

/** A document that passed the parser, the limits and validation. */
export interface PreparedDocument {
  /** SHA-256 of the source, as Apollo and persisted queries name it. */
  hash: string;
  source: string;
  document: DocumentNode;
  introspects: boolean;
  runs: Map<string, { run: Run; compiled: boolean }>;
  weight: number;
}

/** What a request's document was refused for, before anything ran. */
export class DocumentRefused extends Error {
  readonly errors: readonly GraphQLError[];

  constructor(errors: readonly GraphQLError[]) {
    super(errors[0]?.message);
    this.errors = errors.slice(0, graphLimits.listedErrors);
  }
}

/** In tokens, or 20 characters: what all kept documents may weigh together. Some 500 usual ones, 15 MB. */
const maxWeight = 50_000;

/** The documents used last, with their compiled forms: the only cache between a query's text and its execution. */
export class Documents {
  readonly #schema: GraphQLSchema;
  // A Map keeps insertion order: the first is the one not used for longest.
  readonly #kept = new Map<string, PreparedDocument>();
  #weight = 0;

  constructor(schema: GraphQLSchema) {
    this.#schema = schema;
  }

  find(documentHash: string): PreparedDocument | undefined {
    const found = this.#kept.get(documentHash);
    if (found) {
      this.#kept.delete(documentHash);
      this.#kept.set(documentHash, found);
    }
    return found;
  }

  /** @throws DocumentRefused */
  prepare(source: string): PreparedDocument {
    const documentHash = hash('sha256', source);
    const found = this.find(documentHash);
    if (found) return found;
    const document = refusing(() => parseLimited(source));
    const { introspects } = refusing(() => checkShape(document));
    refusing(() => checkLiterals(document));
    this.#validate(document);
    const prepared: PreparedDocument = {
      hash: documentHash,
      source,
      document,
      introspects,
      runs: new Map(),
      weight: Math.max(document.tokenCount ?? 0, Math.ceil(source.length / 20)),
    };
    this.#keep(prepared);
    return prepared;
  }

  /**
   * The way to run an operation of a document: compiled from the second time on, as compiling costs more than one run,
   * and only where that changes nothing.
   */
  runOf(prepared: PreparedDocument, operationName: string | undefined, compileNow = false): Run {
    const key = operationName ?? '';
    const known = prepared.runs.get(key);
    if (known?.compiled) return known.run;
    const compiled = known !== undefined || compileNow;
    const run = cursorFirst(
      prepared.document,
      (compiled && compile(this.#schema, prepared.document, operationName)) ||
        interpret(this.#schema, prepared.document, operationName),
    );
    prepared.runs.set(key, { run, compiled });
    return run;
  }

  #validate(document: DocumentNode): void {
    const faults = validate(this.#schema, document, undefined, { maxErrors: graphLimits.listedErrors });
    if (faults.length === 0) return;
    throw new DocumentRefused(
      faults.map(
        (fault) =>
          new GraphQLError(fault.message, {
            nodes: fault.nodes,
            source: fault.source,
            positions: fault.positions,
            // A value of the wrong type is the same fault whether it stands in the document or in a variable.
            extensions: { code: isValueFault(fault) ? 'BAD_USER_INPUT' : 'GRAPHQL_VALIDATION_FAILED' },
          }),
      ),
    );
  }

  #keep(prepared: PreparedDocument): void {
    this.#kept.set(prepared.hash, prepared);
    this.#weight += prepared.weight;
    for (const [key, oldest] of this.#kept) {
      if (this.#weight <= maxWeight || oldest === prepared) break;
      this.#kept.delete(key);
      this.#weight -= oldest.weight;
    }
  }
}

/**
 * One operation compiled to a function, for documents of our own that live as long as the process.
 *
 * @throws Error when the document does not fit the schema
 */
export function compileStored(schema: GraphQLSchema, document: DocumentNode): Run {
  const faults = validate(schema, document);
  if (faults.length > 0)
    throw new Error(`a stored operation does not fit the schema: ${faults.map(String).join('\n')}`);
  if (!isCompilable(schema, document)) throw new Error('a stored operation does not compile');
  // Compiled by its first call: most installations make few of all the calls.
  let compiled: Run | undefined;
  return (root, ctx, variables) => {
    compiled ??= compile(schema, document, undefined) ?? interpret(schema, document, undefined);
    return compiled(root, ctx, variables);
  };
}

function compile(schema: GraphQLSchema, document: DocumentNode, operationName: string | undefined): Run | undefined {
  if (!isCompilable(schema, document)) return undefined;
  // Numbers, texts and enum values come from our own columns: their serialisers would only look at each once more.
  const compiled = compileQuery(schema, document, operationName, { disableLeafSerialization: true });
  if (!isCompiledQuery(compiled)) return undefined;
  const run: Run = compiled.query;
  const complete = missingDefaults(schema, getOperationAST(document, operationName));
  return complete ? (root, ctx, variables) => run(root, ctx, complete(variables)) : run;
}

function interpret(schema: GraphQLSchema, document: DocumentNode, operationName: string | undefined): Run {
  return (rootValue, contextValue, variableValues) =>
    execute({ schema, document, rootValue, contextValue, variableValues, operationName }) as ReturnType<Run>;
}

// Root fields are read side by side, each by the state of its moment. What is committed after a page was read and before
// the position beside it was would be in neither, so the position comes before everything else.
function cursorFirst(document: DocumentNode, run: Run): Run {
  let asksForCursor = false;
  visit(document, {
    Field(node) {
      asksForCursor ||= node.name.value === 'eventCursor';
    },
  });
  if (!asksForCursor) return run;
  return async (root, ctx, variables) => {
    // Who may not have it, or why it cannot be read, is told by the field.
    if (may(ctx, 'eventCursor')) await ctx.loaders.eventCursor().catch(() => undefined);
    return run(root, ctx, variables);
  };
}

/** The operation that a request means. @throws DocumentRefused when there is none, or several and no name */
export function operationOf(prepared: PreparedDocument, operationName: string | undefined): OperationDefinitionNode {
  const operation = getOperationAST(prepared.document, operationName);
  if (operation) return operation;
  const message = operationName
    ? `Unknown operation named "${operationName}".`
    : 'Must provide operation name if query contains multiple operations.';
  throw new DocumentRefused([new GraphQLError(message, { extensions: { code: 'OPERATION_RESOLUTION_FAILURE' } })]);
}

function refusing<T>(work: () => T): T {
  try {
    return work();
  } catch (error) {
    if (error instanceof GraphQLError) throw new DocumentRefused([error]);
    throw error;
  }
}

// What is JSON is checked where it is read; a text of the document has escapes of its own, a number any exponent.
function checkLiterals(document: DocumentNode): void {
  const refuse = (nodes: ValueNode, message: string) => {
    throw new GraphQLError(message, { nodes, extensions: { code: 'BAD_USER_INPUT' } });
  };
  const checkNumber = (node: IntValueNode | FloatValueNode) => {
    if (!Number.isFinite(Number(node.value))) refuse(node, 'a number is too large');
  };
  visit(document, {
    StringValue(node) {
      if (!isStorableText(node.value)) refuse(node, 'a text has a NUL character or half of a surrogate pair');
    },
    IntValue: checkNumber,
    FloatValue: checkNumber,
  });
}

function isValueFault(fault: GraphQLError): boolean {
  return !!fault.nodes?.length && fault.nodes.every((node) => isValueNode(node) || node.kind === Kind.OBJECT_FIELD);
}

import {
  type ArgumentNode,
  type ASTNode,
  type DocumentNode,
  type FragmentDefinitionNode,
  GraphQLError,
  type GraphQLField,
  type GraphQLNamedType,
  type GraphQLSchema,
  getNamedType,
  getNullableType,
  isInterfaceType,
  isListType,
  isObjectType,
  Kind,
  type OperationDefinitionNode,
  parse,
  type SelectionSetNode,
  type ValueNode,
  visit,
} from 'graphql';
import type { Principal, Settings } from '../domain/context.ts';
import { defaultPageSize, largestPage } from '../domain/paging.ts';

/** Limits of one operation, the same over HTTP and over sockets. @see reliability.md, G */
export const graphLimits = {
  tokens: 2_000,
  depth: 10,
  /** Introspection nests deeper than our own data; graphql's rule against its cycles holds beside this. */
  introspectionDepth: 20,
  aliases: 30,
  rootFields: 10,
  directives: 50,
  /** Field nodes once all fragments are spread: stops fragments that double themselves. */
  spreadFields: 3_000,
  /** Equal answer names in one selection set: the rule that merges them is quadratic. */
  sameName: 50,
  /** Nesting of a literal value. */
  valueDepth: 64,
  cost: 5_000,
  listedErrors: 10,
  deadlineMs: 10_000,
} as const;

/** Who may read the schema: everybody where the setting says so, else admins. Did-you-mean follows it. */
export function mayReadSchema(settings: Settings, principal: Principal): boolean {
  return settings.introspection || (principal.kind === 'user' && principal.role === 'ADMIN');
}

/** @throws GraphQLError GRAPHQL_PARSE_FAILED, or QUERY_TOO_COMPLEX for too many tokens */
export function parseLimited(source: string): DocumentNode {
  try {
    return parse(source, { maxTokens: graphLimits.tokens });
  } catch (error) {
    // The parser is recursive: the stack ends before the tokens of 2,000 nested lists do.
    if (error instanceof RangeError) throw tooComplex('it nests too deep');
    if (!(error instanceof GraphQLError)) throw error;
    if (error.message.includes('tokens')) throw tooComplex(`at most ${graphLimits.tokens} tokens are taken`);
    throw new GraphQLError(error.message, {
      source: error.source,
      positions: error.positions,
      extensions: { code: 'GRAPHQL_PARSE_FAILED' },
    });
  }
}

/**
 * Checks what can be known without schema or variables, in time linear to the document. It runs before validation,
 * whose rules are not linear.
 *
 * @returns whether the document asks for introspection
 * @throws GraphQLError QUERY_TOO_COMPLEX
 */
export function checkShape(document: DocumentNode): { introspects: boolean } {
  const shapes = new ShapeReader(document);
  let aliases = 0;
  let directives = 0;
  let valueDepth = 0;
  let introspects = false;
  const deeper = {
    enter() {
      valueDepth += 1;
      if (valueDepth > graphLimits.valueDepth) throw tooComplex(`values nest at most ${graphLimits.valueDepth} deep`);
    },
    leave() {
      valueDepth -= 1;
    },
  };
  visit(document, {
    OperationDefinition: (node) => checkNames(node.selectionSet),
    FragmentDefinition: (node) => checkNames(node.selectionSet),
    Field(node) {
      if (node.selectionSet) checkNames(node.selectionSet);
      if (node.alias && ++aliases > graphLimits.aliases)
        throw tooComplex(`at most ${graphLimits.aliases} aliases are taken`);
      if (isSchemaField(node.name.value)) introspects = true;
    },
    Directive() {
      if (++directives > graphLimits.directives)
        throw tooComplex(`at most ${graphLimits.directives} directives are taken`);
    },
    ListValue: deeper,
    ObjectValue: deeper,
  });
  for (const definition of document.definitions) {
    if (definition.kind !== Kind.OPERATION_DEFINITION) continue;
    const shape = shapes.read(definition.selectionSet);
    if (shape.depth > graphLimits.depth) throw tooComplex(`fields nest at most ${graphLimits.depth} deep`);
    if (shape.introspectionDepth > graphLimits.introspectionDepth) {
      throw tooComplex(`introspection nests at most ${graphLimits.introspectionDepth} deep`);
    }
    if (shape.fields > graphLimits.spreadFields) {
      throw tooComplex(`at most ${graphLimits.spreadFields} fields are taken once fragments are spread`);
    }
    if (shape.roots > graphLimits.rootFields) {
      throw tooComplex(`at most ${graphLimits.rootFields} root fields are taken`);
    }
  }
  return { introspects };
}

interface Shape {
  depth: number;
  introspectionDepth: number;
  /** Field nodes below, with fragments spread. */
  fields: number;
  /** Field nodes directly in this selection, with fragments spread. */
  roots: number;
}

// Each fragment is read once: without the memory, 25 fragments that spread the next one twice are 2^25 visits.
class ShapeReader {
  readonly #fragments: Map<string, FragmentDefinitionNode>;
  readonly #known = new Map<string, Shape | 'open'>();

  constructor(document: DocumentNode) {
    this.#fragments = fragmentsOf(document);
  }

  read(selectionSet: SelectionSetNode): Shape {
    const shape: Shape = { depth: 0, introspectionDepth: 0, fields: 0, roots: 0 };
    for (const selection of selectionSet.selections) {
      if (selection.kind === Kind.FIELD) {
        const below = selection.selectionSet && this.read(selection.selectionSet);
        shape.fields += 1 + (below?.fields ?? 0);
        shape.roots += 1;
        if (isSchemaField(selection.name.value)) {
          const depth = 1 + Math.max(below?.depth ?? 0, below?.introspectionDepth ?? 0);
          shape.introspectionDepth = Math.max(shape.introspectionDepth, depth);
        } else {
          shape.depth = Math.max(shape.depth, 1 + (below?.depth ?? 0));
          if (below) shape.introspectionDepth = Math.max(shape.introspectionDepth, below.introspectionDepth);
        }
      } else {
        const inner =
          selection.kind === Kind.INLINE_FRAGMENT
            ? this.read(selection.selectionSet)
            : this.#spread(selection.name.value);
        shape.depth = Math.max(shape.depth, inner.depth);
        shape.introspectionDepth = Math.max(shape.introspectionDepth, inner.introspectionDepth);
        shape.fields += inner.fields;
        shape.roots += inner.roots;
      }
    }
    return shape;
  }

  #spread(name: string): Shape {
    const known = this.#known.get(name);
    if (known === 'open') throw tooComplex(`the fragment ${name} spreads itself`);
    if (known) return known;
    const fragment = this.#fragments.get(name);
    // Validation names the missing fragment.
    if (!fragment) return { depth: 0, introspectionDepth: 0, fields: 0, roots: 0 };
    this.#known.set(name, 'open');
    const shape = this.read(fragment.selectionSet);
    this.#known.set(name, shape);
    return shape;
  }
}

// Of one field's selection, inline fragments included: what the merge rule compares with each other.
function checkNames(selectionSet: SelectionSetNode): void {
  const seen = new Map<string, number>();
  const count = (set: SelectionSetNode) => {
    for (const selection of set.selections) {
      if (selection.kind === Kind.INLINE_FRAGMENT) count(selection.selectionSet);
      const name = nameOf(selection);
      if (name === undefined) continue;
      const times = (seen.get(name) ?? 0) + 1;
      if (times > graphLimits.sameName)
        throw tooComplex(`at most ${graphLimits.sameName} equal fields are taken in one selection`);
      seen.set(name, times);
    }
  };
  count(selectionSet);
}

function nameOf(selection: SelectionSetNode['selections'][number]): string | undefined {
  if (selection.kind === Kind.FIELD) return selection.alias?.value ?? selection.name.value;
  return selection.kind === Kind.FRAGMENT_SPREAD ? `...${selection.name.value}` : undefined;
}

/**
 * The cost of an operation: each field that has fields of its own counts 1, and what lies in a page counts times the
 * page's size (`first` or `last`, or its default, or 20). A list without pages counts as many as it is given `ids`, or 20;
 * `nodes` and `edges` of a page were counted with it. Plain values come with their object and are free, so is
 * introspection. `conversations(first: 50) { nodes { contact { displayName } } }` costs 1 + 50 * (1 + 1) = 101.
 *
 * @returns the cost
 * @throws GraphQLError QUERY_TOO_COMPLEX above 5,000
 */
export function checkCost(
  schema: GraphQLSchema,
  document: DocumentNode,
  operation: OperationDefinitionNode,
  variables: Readonly<Record<string, unknown>>,
): number {
  const root = schema.getRootType(operation.operation);
  const cost = new CostReader(schema, document, operation, variables).read(operation.selectionSet, root ?? undefined);
  if (cost > graphLimits.cost) {
    throw tooComplex(`this operation costs ${cost}, at most ${graphLimits.cost} are taken: ask for smaller pages`);
  }
  return cost;
}

class CostReader {
  readonly #schema: GraphQLSchema;
  readonly #fragments: Map<string, FragmentDefinitionNode>;
  readonly #defaults: Map<string, ValueNode | undefined>;
  readonly #variables: Readonly<Record<string, unknown>>;
  readonly #known = new Map<string, number>();

  constructor(
    schema: GraphQLSchema,
    document: DocumentNode,
    operation: OperationDefinitionNode,
    variables: Readonly<Record<string, unknown>>,
  ) {
    this.#schema = schema;
    this.#fragments = fragmentsOf(document);
    this.#variables = variables;
    this.#defaults = new Map(operation.variableDefinitions?.map((one) => [one.variable.name.value, one.defaultValue]));
  }

  read(selectionSet: SelectionSetNode, parent: GraphQLNamedType | undefined): number {
    let cost = 0;
    for (const selection of selectionSet.selections) {
      if (selection.kind === Kind.FIELD) {
        if (!selection.selectionSet || isSchemaField(selection.name.value)) continue;
        const field =
          isObjectType(parent) || isInterfaceType(parent) ? parent.getFields()[selection.name.value] : undefined;
        const below = this.read(selection.selectionSet, field && getNamedType(field.type));
        cost += 1 + (field ? this.#sizeOf(field, selection.arguments ?? [], parent) : 1) * below;
      } else if (selection.kind === Kind.INLINE_FRAGMENT) {
        const on = selection.typeCondition;
        cost += this.read(selection.selectionSet, on ? this.#schema.getType(on.name.value) : parent);
      } else {
        cost += this.#spread(selection.name.value);
      }
    }
    return cost;
  }

  #spread(name: string): number {
    const known = this.#known.get(name);
    if (known !== undefined) return known;
    const fragment = this.#fragments.get(name);
    if (!fragment) return 0;
    const cost = this.read(fragment.selectionSet, this.#schema.getType(fragment.typeCondition.name.value));
    this.#known.set(name, cost);
    return cost;
  }

  #sizeOf(
    field: GraphQLField<unknown, unknown>,
    given: readonly ArgumentNode[],
    parent: GraphQLNamedType | undefined,
  ): number {
    const page = this.#pageSize(field, given);
    if (page !== undefined) return page;
    if (!isListType(getNullableType(field.type)) || isPage(parent)) return 1;
    const ids = given.find(({ name }) => name.value === 'ids')?.value;
    return ids ? Math.min(largestPage, Math.max(1, this.#lengthOf(ids))) : defaultPageSize;
  }

  /** Undefined for what has no pages. */
  #pageSize(field: GraphQLField<unknown, unknown>, given: readonly ArgumentNode[]): number | undefined {
    let pages = false;
    let size: number | undefined;
    for (const argument of field.args) {
      if (argument.name !== 'first' && argument.name !== 'last') continue;
      pages = true;
      const node = given.find((one) => one.name.value === argument.name)?.value;
      const value =
        (node && this.#numberOf(node)) ??
        (typeof argument.defaultValue === 'number' ? argument.defaultValue : undefined);
      if (value !== undefined) size = Math.max(size ?? 0, value);
    }
    // The services give no larger pages, whatever is asked for.
    return pages ? Math.min(largestPage, Math.max(1, size ?? defaultPageSize)) : undefined;
  }

  #numberOf(node: ValueNode): number | undefined {
    const given = this.#givenFor(node);
    if (given !== undefined) return typeof given === 'number' ? given : undefined;
    const literal = this.#literalOf(node);
    return literal?.kind === Kind.INT ? Number(literal.value) : undefined;
  }

  // A single value where a list is expected is a list of one.
  #lengthOf(node: ValueNode): number {
    const given = this.#givenFor(node);
    if (given !== undefined) return Array.isArray(given) ? given.length : 1;
    const literal = this.#literalOf(node);
    return literal?.kind === Kind.LIST ? literal.values.length : 1;
  }

  #givenFor(node: ValueNode): unknown {
    if (node.kind !== Kind.VARIABLE) return undefined;
    return Object.hasOwn(this.#variables, node.name.value) ? this.#variables[node.name.value] : undefined;
  }

  #literalOf(node: ValueNode): ValueNode | undefined {
    return node.kind === Kind.VARIABLE ? this.#defaults.get(node.name.value) : node;
  }
}

// Its `nodes` and `edges` are as long as its field was asked for.
function isPage(type: GraphQLNamedType | undefined): boolean {
  return isObjectType(type) && type.getFields().pageInfo !== undefined;
}

/** A refusal by one of the limits; the routes answer it with 400. */
function tooComplex(message: string, node?: ASTNode): GraphQLError {
  return new GraphQLError(`the operation is too complex: ${message}`, {
    nodes: node,
    extensions: { code: 'QUERY_TOO_COMPLEX' },
  });
}

function fragmentsOf(document: DocumentNode): Map<string, FragmentDefinitionNode> {
  const fragments = new Map<string, FragmentDefinitionNode>();
  for (const definition of document.definitions) {
    if (definition.kind === Kind.FRAGMENT_DEFINITION) fragments.set(definition.name.value, definition);
  }
  return fragments;
}

function isSchemaField(name: string): boolean {
  return name === '__schema' || name === '__type';
}

import {
  type GraphQLArgument,
  type GraphQLField,
  type GraphQLInputType,
  type GraphQLNamedOutputType,
  type GraphQLObjectType,
  type GraphQLSchema,
  getNamedType,
  isEnumType,
  isInputObjectType,
  isLeafType,
  isListType,
  isNonNullType,
  isObjectType,
  isRequiredArgument,
  isRequiredInputField,
} from 'graphql';
import { anyUuid } from './rest-rows.ts';

type Path = (string | number)[];
type Field = GraphQLField<unknown, unknown>;

/** A place where a client's value comes into the schema: an argument, or a field inside one. */
export interface Place {
  /** `Mutation.sendMessage.input.text` */
  name: string;
  /** Of a field of an input, as the schema names it: `SendMessageInput.text` */
  owner?: string;
  kind: 'query' | 'mutation' | 'subscription';
  /** The root field that leads there. */
  root: string;
  /** Reaches the field, with all its arguments as variables. */
  document: string;
  /** What fits, but for this place. */
  variables: Record<string, unknown>;
  path: Path;
  type: GraphQLInputType;
}

/** Every such place of a schema. `known` has values that exist, by the name of the argument or field. */
export function placesOf(schema: GraphQLSchema, known: Record<string, unknown> = {}): Place[] {
  return [...waysTo(schema)].flatMap(([type, way]) =>
    Object.values(type.getFields()).flatMap((field) => placesOfField(schema, { type, way, field, known })),
  );
}

/** How a type with arguments is reached from a root: field after field, none of which needs arguments. */
interface Way {
  kind: Place['kind'];
  steps: string[];
}

function waysTo(schema: GraphQLSchema): Map<GraphQLObjectType, Way> {
  const found = new Map<GraphQLObjectType, Way>();
  const roots = {
    query: schema.getQueryType(),
    mutation: schema.getMutationType(),
    subscription: schema.getSubscriptionType(),
  };
  for (const [kind, type] of Object.entries(roots)) if (type) found.set(type, { kind: kind as Way['kind'], steps: [] });
  // A Map goes on with what is added while it is walked.
  for (const [type, { kind, steps }] of found) {
    if (kind !== 'query') continue;
    for (const field of Object.values(type.getFields())) {
      const next = getNamedType(field.type);
      if (isObjectType(next) && !found.has(next) && !field.args.some(isRequiredArgument))
        found.set(next, { kind, steps: [...steps, field.name] });
    }
  }
  return found;
}

function placesOfField(
  schema: GraphQLSchema,
  { type, way, field, known }: { type: GraphQLObjectType; way: Way; field: Field; known: Record<string, unknown> },
): Place[] {
  const declared = field.args.map((argument) => `$${argument.name}: ${argument.type}`).join(', ');
  const given = field.args.map(({ name }) => `${name}: $${name}`).join(', ');
  const inner = `${field.name}(${given})${selectionOf(schema, getNamedType(field.type))}`;
  const document = `${way.kind} (${declared}) { ${way.steps.reduceRight((text, step) => `${step} { ${text} }`, inner)} }`;
  const base = Object.fromEntries(
    field.args.filter(isRequiredArgument).map((argument) => [argument.name, sampleOf(argument, known)]),
  );
  const places = field.args.flatMap((argument) => pathsIn(argument.type, [argument.name], []));
  return places.map(({ path, type: wanted, owner }) => ({
    name: [type.name, field.name, ...path.filter((part) => typeof part === 'string')].join('.'),
    ...(owner !== undefined && { owner }),
    kind: way.kind,
    root: way.steps[0] ?? field.name,
    document,
    variables: withParents(base, field.args, path, known),
    path,
    type: wanted,
  }));
}

// All that a type shows without arguments: nothing that is asked for lazily stays unread.
function selectionOf(schema: GraphQLSchema, type: GraphQLNamedOutputType): string {
  if (isLeafType(type)) return '';
  if (!isObjectType(type)) return ' { __typename }';
  const leaves = Object.values(type.getFields()).filter(
    (one) => one.args.length === 0 && isLeafType(getNamedType(one.type)),
  );
  const nodes = type.getFields().nodes;
  const below = nodes && selectionOf(schema, getNamedType(nodes.type));
  return ` { __typename ${leaves.map(({ name }) => name).join(' ')} ${below ? `nodes${below}` : ''} }`;
}

interface Found {
  path: Path;
  type: GraphQLInputType;
  owner?: string;
}

// A list stands for its first item too; an input that contains itself is walked once.
function pathsIn(type: GraphQLInputType, path: Path, above: readonly unknown[]): Found[] {
  const nullable = isNonNullType(type) ? type.ofType : type;
  if (isListType(nullable)) return [{ path, type }, ...pathsIn(nullable.ofType, [...path, 0], above).slice(1)];
  if (!isInputObjectType(nullable) || above.includes(nullable)) return [{ path, type }];
  const below = Object.values(nullable.getFields()).flatMap((field) => {
    const [here, ...inside] = pathsIn(field.type, [...path, field.name], [...above, nullable]);
    return [{ ...here!, owner: `${nullable.name}.${field.name}` }, ...inside];
  });
  return [{ path, type }, ...below];
}

type Named = Pick<GraphQLArgument, 'name' | 'type'>;

// A field can only be wrong where all around it is there.
function withParents(
  base: Record<string, unknown>,
  args: readonly Named[],
  path: Path,
  known: Record<string, unknown>,
): Record<string, unknown> {
  const variables = structuredClone(base);
  let holder: Record<string | number, unknown> = variables;
  let fields: readonly Named[] = args;
  for (const part of path.slice(0, -1)) {
    const field = fields.find(({ name }) => name === part);
    if (field) {
      holder[part] ??= sampleOf(field, known);
      const named = getNamedType(field.type);
      fields = isInputObjectType(named) ? Object.values(named.getFields()) : [];
      const isList = isListType(isNonNullType(field.type) ? field.type.ofType : field.type);
      if (isList && (holder[part] as unknown[]).length === 0)
        (holder[part] as unknown[])[0] = sampleOf({ name: part as string, type: named as GraphQLInputType }, known);
    }
    holder = holder[part] as Record<string | number, unknown>;
  }
  return variables;
}

const scalars: Record<string, unknown> = {
  Boolean: false,
  DateTime: '2024-01-01T00:00:00Z',
  Float: 1,
  ID: anyUuid,
  Int: 1,
  JSON: {},
  URL: 'http://203.0.113.9/',
};

function sampleOf({ name, type }: Named, known: Record<string, unknown>): unknown {
  if (isNonNullType(type)) return sampleOf({ name, type: type.ofType }, known);
  if (isListType(type)) return [sampleOf({ name, type: type.ofType }, known)];
  if (isInputObjectType(type)) {
    const required = Object.values(type.getFields()).filter(isRequiredInputField);
    return Object.fromEntries(required.map((field) => [field.name, sampleOf(field, known)]));
  }
  if (Object.hasOwn(known, name)) return known[name];
  return isEnumType(type) ? type.getValues()[0]!.name : (scalars[type.name] ?? 'x');
}

/** An independent reading of what a type takes, by the kind of value alone; true for what it must turn down. */
export function refuses(type: GraphQLInputType, value: unknown): boolean {
  if (isNonNullType(type)) return value === null || refuses(type.ofType, value);
  if (value === null) return false;
  if (isListType(type))
    return Array.isArray(value) ? value.some((item) => refuses(type.ofType, item)) : refuses(type.ofType, value);
  if (isInputObjectType(type)) {
    // A list counts as an object here, by the keys of its items: that is how graphql-js reads it.
    if (typeof value !== 'object') return true;
    const fields = type.getFields();
    return (
      Object.keys(value).some((key) => !Object.hasOwn(fields, key)) ||
      Object.values(fields).some((field) =>
        Object.hasOwn(value, field.name)
          ? refuses(field.type, (value as Record<string, unknown>)[field.name])
          : isRequiredInputField(field),
      )
    );
  }
  if (isEnumType(type)) return !type.getValues().some(({ name }) => name === value);
  switch (type.name) {
    case 'Boolean':
      return typeof value !== 'boolean';
    case 'Int':
      return !Number.isInteger(value) || (value as number) >= 2 ** 31 || (value as number) < -(2 ** 31);
    case 'Float':
      return typeof value !== 'number';
    case 'ID':
      return typeof value !== 'string' && !Number.isInteger(value);
    case 'DateTime':
      return typeof value !== 'string' && !Number.isInteger(value);
    case 'JSON':
      return false;
    default:
      return typeof value !== 'string';
  }
}

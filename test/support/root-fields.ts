import {
  type GraphQLField,
  type GraphQLInputType,
  type GraphQLSchema,
  getNamedType,
  isCompositeType,
  isEnumType,
  isInputObjectType,
  isListType,
  isNonNullType,
  isRequiredInputField,
} from 'graphql';
import { anyUuid } from './rest-rows.ts';

/** A root field, and a document that calls it with the least it takes. */
export interface RootField {
  /** As the table of rights names it. */
  name: string;
  kind: 'query' | 'mutation' | 'subscription';
  document: string;
  variables: Record<string, unknown>;
}

type Field = GraphQLField<unknown, unknown>;

/** Every root field of a schema. */
export function rootFieldsOf(schema: GraphQLSchema): RootField[] {
  const of = (kind: RootField['kind'], type: ReturnType<GraphQLSchema['getQueryType']>) =>
    Object.values(type?.getFields() ?? {}).map((field) => ({
      name: kind === 'subscription' ? `Subscription.${field.name}` : field.name,
      kind,
      document: documentOf(field, kind),
      variables: minimalArguments(field),
    }));
  return [
    ...of('query', schema.getQueryType()),
    ...of('mutation', schema.getMutationType()),
    ...of('subscription', schema.getSubscriptionType()),
  ];
}

function requiredArguments(field: Field) {
  return field.args.filter((argument) => isNonNullType(argument.type) && argument.defaultValue === undefined);
}

function documentOf(field: Field, kind: RootField['kind']): string {
  const required = requiredArguments(field);
  const declared = required.map(({ name, type }) => `$${name}: ${type}`).join(', ');
  const given = required.map(({ name }) => `${name}: $${name}`).join(', ');
  const selection = isCompositeType(getNamedType(field.type)) ? ' { __typename }' : '';
  return `${kind} ${declared && `(${declared})`} { ${field.name}${given && `(${given})`}${selection} }`;
}

function minimalArguments(field: Field): Record<string, unknown> {
  return Object.fromEntries(requiredArguments(field).map(({ name, type }) => [name, minimalValue(type)]));
}

const scalars: Record<string, unknown> = {
  Boolean: false,
  DateTime: '2024-01-01T00:00:00Z',
  Float: 1,
  ID: anyUuid,
  Int: 1,
  JSON: {},
  URL: 'http://example.com/',
};

function minimalValue(type: GraphQLInputType): unknown {
  if (isNonNullType(type)) return minimalValue(type.ofType);
  if (isListType(type)) return [minimalValue(type.ofType)];
  if (isEnumType(type)) return type.getValues()[0]!.name;
  if (!isInputObjectType(type)) return scalars[type.name] ?? 'x';
  const required = Object.values(type.getFields()).filter(isRequiredInputField);
  return Object.fromEntries(required.map((field) => [field.name, minimalValue(field.type)]));
}

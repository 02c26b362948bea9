import {
  BREAK,
  type DocumentNode,
  type GraphQLNamedType,
  type GraphQLSchema,
  getNamedType,
  isEnumType,
  isInputObjectType,
  isSpecifiedScalarType,
  Kind,
  type TypeNode,
  type ValueNode,
  type VariableDefinitionNode,
  visit,
} from 'graphql';

/**
 * Whether graphql-jit gives a document's operations the meaning that graphql-js gives them, and safely. What is not on
 * this list is interpreted. Left out are, as of graphql-jit 0.8.9:
 *
 * - objects and lists as arguments: a variable within a JSON literal is lost, an absent one in an input object is null;
 * - texts as arguments: jit writes them into the source of a function, and a text that starts with its mark for dates is
 *   run as code;
 * - directives: a fragment that is spread twice, once under `@include`, loses fields;
 * - `__proto__` as any name: it sets the prototype instead of a key;
 * - defaults of variables that are more than a number, a Boolean or an enum's value: a DateTime becomes a text;
 * - variables whose input type has a field of its own type, at whatever depth: jit writes such a type out without end.
 *
 * Clients that pass values as whole variables (`input: $input`) have none of these.
 */
export function isCompilable(schema: GraphQLSchema, document: DocumentNode): boolean {
  let compilable = true;
  const refuse = () => {
    compilable = false;
    return BREAK;
  };
  visit(document, {
    Directive: refuse,
    Name: (node) => (node.value === '__proto__' ? refuse() : undefined),
    Argument: ({ value }) => (value.kind === Kind.VARIABLE || isPlain(value) ? undefined : refuse()),
    VariableDefinition: (node) =>
      hasPlainDefault(schema, node) && !isEndless(schema.getType(nameOf(node.type))) ? undefined : refuse(),
  });
  return compilable;
}

function isPlain({ kind }: ValueNode): boolean {
  return kind === Kind.INT || kind === Kind.FLOAT || kind === Kind.BOOLEAN || kind === Kind.ENUM || kind === Kind.NULL;
}

function hasPlainDefault(schema: GraphQLSchema, { type, defaultValue }: VariableDefinitionNode): boolean {
  if (!defaultValue) return true;
  const named = schema.getType(nameOf(type));
  return isPlain(defaultValue) && !!named && (isSpecifiedScalarType(named) || isEnumType(named));
}

// `above`: the input types that lead here.
function isEndless(type: GraphQLNamedType | undefined, above: readonly GraphQLNamedType[] = []): boolean {
  if (!isInputObjectType(type)) return false;
  if (above.includes(type)) return true;
  const here = [...above, type];
  return Object.values(type.getFields()).some((field) => isEndless(getNamedType(field.type), here));
}

function nameOf(type: TypeNode): string {
  return type.kind === Kind.NAMED_TYPE ? type.name.value : nameOf(type.type);
}

import {
  astFromValue,
  type GraphQLInputField,
  type GraphQLInputType,
  type GraphQLSchema,
  isInputObjectType,
  isInputType,
  isListType,
  isNonNullType,
  type NamedTypeNode,
  type OperationDefinitionNode,
  typeFromAST,
  valueFromASTUntyped,
} from 'graphql';

type Variables = Readonly<Record<string, unknown>>;

/**
 * graphql-jit refuses a missing value of a non-null type although the type has a default, where the specification takes
 * the default: a document would pass the first time and fail once it is compiled.
 *
 * @returns a function that fills such values in; undefined where the operation cannot lack one
 */
export function missingDefaults(
  schema: GraphQLSchema,
  operation: OperationDefinitionNode | null | undefined,
): ((variables: Variables) => Variables) | undefined {
  const concerned = (operation?.variableDefinitions ?? []).flatMap(({ variable, type: node, defaultValue }) => {
    const type = typeFromAST(schema, node as NamedTypeNode);
    if (!isInputType(type)) return [];
    const hasDefault = isNonNullType(type) && defaultValue !== undefined;
    return hasDefault || canLack(type, new Set())
      ? [{ name: variable.name.value, type, hasDefault, fallback: defaultValue && valueFromASTUntyped(defaultValue) }]
      : [];
  });
  if (concerned.length === 0) return undefined;
  return (variables) => {
    const filled: Record<string, unknown> = { ...variables };
    for (const { name, type, hasDefault, fallback } of concerned) {
      if (!Object.hasOwn(variables, name)) {
        if (!hasDefault) continue;
        filled[name] = fallback;
      }
      filled[name] = fill(type, filled[name]);
    }
    return filled;
  };
}

function hasNonNullDefault(field: GraphQLInputField): boolean {
  return isNonNullType(field.type) && field.defaultValue !== undefined;
}

function canLack(type: GraphQLInputType, seen: Set<GraphQLInputType>): boolean {
  if (isNonNullType(type) || isListType(type)) return canLack(type.ofType, seen);
  if (!isInputObjectType(type) || seen.has(type)) return false;
  seen.add(type);
  return Object.values(type.getFields()).some((field) => hasNonNullDefault(field) || canLack(field.type, seen));
}

function fill(type: GraphQLInputType, value: unknown): unknown {
  if (isNonNullType(type)) return fill(type.ofType, value);
  if (value === null || typeof value !== 'object') return value;
  if (isListType(type)) {
    return Array.isArray(value) ? value.map((item) => fill(type.ofType, item)) : fill(type.ofType, value);
  }
  if (!isInputObjectType(type) || Array.isArray(value)) return value;
  const filled: Record<string, unknown> = { ...value };
  for (const field of Object.values(type.getFields())) {
    if (Object.hasOwn(filled, field.name)) filled[field.name] = fill(field.type, filled[field.name]);
    else if (hasNonNullDefault(field)) filled[field.name] = externalDefault(field);
  }
  return filled;
}

function externalDefault(field: GraphQLInputField): unknown {
  const node = astFromValue(field.defaultValue, field.type);
  return node && valueFromASTUntyped(node);
}

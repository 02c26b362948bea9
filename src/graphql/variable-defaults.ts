import {
  astFromValue,
  type GraphQLInputField,
  type GraphQLInputObjectType,
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
    return Array.isArray(value) ? filledList(type.ofType, value) : fill(type.ofType, value);
  }
  if (!isInputObjectType(type) || Array.isArray(value)) return value;
  // Copied when something lacks: a batch of a thousand as a rule lacks nothing.
  let filled = value as Record<string, unknown>;
  for (const field of fieldsThatLack(type)) {
    const { name } = field;
    const has = Object.hasOwn(filled, name);
    if (!has && !hasNonNullDefault(field)) continue;
    const whole = has ? fill(field.type, filled[name]) : externalDefault(field);
    if (has && whole === filled[name]) continue;
    if (filled === value) filled = { ...filled };
    filled[name] = whole;
  }
  return filled;
}

function filledList(type: GraphQLInputType, items: unknown[]): unknown[] {
  const filled = items.map((item) => fill(type, item));
  return filled.some((item, index) => item !== items[index]) ? filled : items;
}

const lacking = new WeakMap<GraphQLInputObjectType, GraphQLInputField[]>();

/** The fields of a type that may want a default, at themselves or inside. */
function fieldsThatLack(type: GraphQLInputObjectType): GraphQLInputField[] {
  const known = lacking.get(type);
  if (known) return known;
  const found = Object.values(type.getFields()).filter(
    (field) => hasNonNullDefault(field) || canLack(field.type, new Set()),
  );
  lacking.set(type, found);
  return found;
}

function externalDefault(field: GraphQLInputField): unknown {
  const node = astFromValue(field.defaultValue, field.type);
  return node && valueFromASTUntyped(node);
}

import {
  type FieldNode,
  type GraphQLNamedType,
  type GraphQLResolveInfo,
  getArgumentValues,
  getNamedType,
  isInterfaceType,
  isObjectType,
  Kind,
  type SelectionSetNode,
} from 'graphql';

/** What is selected of one object: the fields by their names. Undefined where fragments or directives leave it open. */
type Selection = ReadonlyMap<string, FieldNode[]> | undefined;

const selections = new WeakMap<FieldNode, { selection: Selection }>();

/** Asks each document once: its nodes stay the same from run to run. */
function selectionOf([node, ...others]: readonly FieldNode[]): Selection {
  if (!node || others.length > 0) return undefined;
  const known = selections.get(node) ?? { selection: readSelection(node) };
  selections.set(node, known);
  return known.selection;
}

function readSelection(node: FieldNode): Selection {
  const fields = new Map<string, FieldNode[]>();
  for (const one of node.selectionSet?.selections ?? []) {
    if (one.kind !== Kind.FIELD || one.directives?.length) return undefined;
    fields.set(one.name.value, [...(fields.get(one.name.value) ?? []), one]);
  }
  return fields;
}

/** Whether nothing but `names` is selected of the object that a resolver is about to give. */
export function selectsOnly(info: GraphQLResolveInfo, names: ReadonlySet<string>): boolean {
  const selection = selectionOf(info.fieldNodes);
  return selection !== undefined && [...selection.keys()].every((name) => names.has(name));
}

/**
 * The arguments of `field` of the object that a resolver is about to give, where it is selected once and beside nothing but
 * `others`: one statement can then read for both.
 *
 * @param type the object's type
 */
export function onlySelected<Args>(
  info: GraphQLResolveInfo,
  type: string,
  { field, others }: { field: string; others: ReadonlySet<string> },
): Args | undefined {
  const selection = selectionOf(info.fieldNodes);
  const [node, ...more] = selection?.get(field) ?? [];
  if (!selection || !node || more.length > 0) return undefined;
  for (const name of selection.keys()) if (name !== field && !others.has(name)) return undefined;
  const objectType = info.schema.getType(type);
  const definition = isObjectType(objectType) && objectType.getFields()[field];
  return definition ? (getArgumentValues(definition, node, info.variableValues) as Args) : undefined;
}

const below = new WeakMap<FieldNode, ReadonlySet<string>>();

/** Whether any of these is selected anywhere below the field that a resolver is about to give. @param fields as `Type.field` */
export function selectsAny(info: GraphQLResolveInfo, fields: readonly string[]): boolean {
  const [node, ...others] = info.fieldNodes;
  if (!node || others.length > 0) return true;
  let known = below.get(node);
  if (!known) {
    known = fieldsBelow(info, node);
    below.set(node, known);
  }
  return fields.some((field) => known.has(field));
}

function fieldsBelow({ schema, fragments, returnType }: GraphQLResolveInfo, node: FieldNode): ReadonlySet<string> {
  const found = new Set<string>();
  const walk = (selections: SelectionSetNode | undefined, type: GraphQLNamedType | undefined) => {
    for (const one of selections?.selections ?? []) {
      if (one.kind === Kind.FIELD) {
        found.add(`${type?.name}.${one.name.value}`);
        const field = isObjectType(type) || isInterfaceType(type) ? type.getFields()[one.name.value] : undefined;
        if (field) walk(one.selectionSet, getNamedType(field.type));
        continue;
      }
      const part = one.kind === Kind.INLINE_FRAGMENT ? one : fragments[one.name.value];
      const named = part?.typeCondition?.name.value;
      walk(part?.selectionSet, named ? schema.getType(named) : type);
    }
  };
  walk(node.selectionSet, getNamedType(returnType));
  return found;
}

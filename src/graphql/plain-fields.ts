import type { GraphCtx } from './context.ts';

type PlainResolver = (root: never, args: never, ctx: GraphCtx) => unknown;

/** Resolvers by `Type.field`, set on the schema as they are. */
export const plainFieldResolvers = new Map<string, PlainResolver>();

/**
 * Registers fields that are a function of their parent, or at most ask a loader. They skip TypeGraphQL's chain of promises,
 * which on a list of 20 costs more than the fields themselves. Fields that not everybody may see are no such thing.
 */
export function plainFields<Root, Args = never>(
  type: string,
  fields: Record<string, (root: Root, args: Args, ctx: GraphCtx) => unknown>,
): void {
  for (const [field, resolve] of Object.entries(fields))
    plainFieldResolvers.set(`${type}.${field}`, resolve as PlainResolver);
}

type TypeName = (value: never) => string | undefined;

/** How the members of unions and interfaces are told apart, set on the schema as they are. */
export const memberNames = new Map<string, TypeName>();

/** TypeGraphQL answers the name of a member by a promise, which the compiled executor does not wait for. */
export function tellMembers<Value>(abstractType: string, nameOf: (value: Value) => string | undefined): void {
  memberNames.set(abstractType, nameOf as TypeName);
}

type PlainResolver = (root: never) => unknown;

/** Resolvers by `Type.field`, set on the schema as they are. */
export const plainFieldResolvers = new Map<string, PlainResolver>();

/**
 * Registers fields that are a pure function of their parent. They skip TypeGraphQL's chain of promises, which on a
 * list of 20 costs more than the fields themselves. Fields that read, or that not everybody may see, are no such thing.
 */
export function plainFields<Root>(type: string, fields: Record<string, (root: Root) => unknown>): void {
  for (const [field, resolve] of Object.entries(fields)) plainFieldResolvers.set(`${type}.${field}`, resolve as PlainResolver);
}

import { GraphQLError, GraphQLScalarType, Kind, type ValueNode, valueFromASTUntyped } from 'graphql';
import { isWebAddress } from '../domain/text.ts';

/** ISO 8601 with a zone: without one the instant would be a guess. */
const instant = /^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}(:\d{2}(\.\d{1,9})?)?(Z|[+-]\d{2}:?\d{2})$/;

// Date.parse rolls the 30th of February over into March.
function isInstantText(text: string): boolean {
  if (!instant.test(text)) return false;
  const [year, month, day] = text.slice(0, 10).split('-').map(Number) as [number, number, number];
  return day >= 1 && day <= new Date(Date.UTC(year, month, 0)).getUTCDate();
}

/**
 * Reads an instant: ISO 8601 with zone, epoch milliseconds as a number, or as digits.
 *
 * @returns undefined when it is none
 */
export function parseInstant(value: unknown): Date | undefined {
  if (value instanceof Date) return value;
  const isDigits = typeof value === 'string' && /^\d{1,16}$/.test(value);
  if (!isDigits && typeof value !== 'number' && !(typeof value === 'string' && isInstantText(value))) return undefined;
  const parsed = new Date(isDigits ? Number(value) : (value as string | number));
  return Number.isInteger(typeof value === 'number' ? value : 0) && !Number.isNaN(parsed.getTime())
    ? parsed
    : undefined;
}

export const DateTimeScalar = new GraphQLScalarType<Date, string>({
  name: 'DateTime',
  description:
    'RFC 3339 instant with milliseconds, always UTC. As input also with another zone, or epoch milliseconds.',
  serialize: (value) => (value as Date).toISOString(),
  parseValue: (value) => {
    const parsed = parseInstant(value);
    if (!parsed)
      throw new GraphQLError(`must be ISO 8601 with a zone or epoch milliseconds, got ${JSON.stringify(value)}`);
    return parsed;
  },
  parseLiteral: (node) => {
    const parsed = parseInstant(
      node.kind === Kind.INT ? Number(node.value) : node.kind === Kind.STRING ? node.value : undefined,
    );
    if (!parsed) throw new GraphQLError('must be ISO 8601 with a zone or epoch milliseconds', { nodes: node });
    return parsed;
  },
});

export const JsonScalar = new GraphQLScalarType({
  name: 'JSON',
  description: 'Any JSON value; what comes back is equal as a JSON value, key order may differ.',
  serialize: (value) => value,
  parseValue: (value) => value,
  parseLiteral: (node, variables): unknown => valueFromASTUntyped(node, variables),
});

function webAddress(value: unknown, node?: ValueNode): string {
  if (typeof value === 'string' && isWebAddress(value)) return value;
  throw new GraphQLError(`must be an absolute http or https address, got ${JSON.stringify(value)}`, { nodes: node });
}

export const UrlScalar = new GraphQLScalarType<string, string>({
  name: 'URL',
  description: 'Absolute http or https address.',
  serialize: (value) => String(value),
  parseValue: (value) => webAddress(value),
  parseLiteral: (node) => webAddress(node.kind === Kind.STRING ? node.value : undefined, node),
});

function cursorText(value: unknown, node?: ValueNode): string {
  if (typeof value === 'string') return value;
  throw new GraphQLError('must be a text that an answer gave as a cursor', { nodes: node });
}

export const CursorScalar = new GraphQLScalarType<string, string>({
  name: 'Cursor',
  description: 'Opaque position in a list or in the event stream. Never parse it.',
  serialize: (value) => String(value),
  parseValue: (value) => cursorText(value),
  parseLiteral: (node) => cursorText(node.kind === Kind.STRING ? node.value : undefined, node),
});

import { z } from 'zod';
import { parseInstant } from '../../graphql/execute.ts';
import { shown } from '../run-row.ts';

/** Shapes that several rows take. */

export const text = z.string();
export const optionalText = z.string().nullish();

const uuid = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/;
export const id = z
  .string()
  .regex(uuid, { error: (issue) => `must be a UUID in lower case, got ${shown(issue.input)}` });

/** Epoch milliseconds as a number or digits, or ISO 8601 with a zone. */
export const instant = z.unknown().transform((value, check) => {
  const parsed = value instanceof Date ? undefined : parseInstant(value);
  if (parsed) return parsed;
  const message =
    value === undefined ? 'is required' : `must be epoch milliseconds or ISO 8601 with a zone, got ${shown(value)}`;
  check.addIssue({ code: 'custom', message });
  return z.NEVER;
});

/** Without the fields that were not given: an operation leaves those as they are, where null would clear them. */
export function defined<Fields extends Record<string, unknown>>(fields: Fields): Partial<Fields> {
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined)) as Partial<Fields>;
}

/** Any JSON value; null counts as missing, since operations cannot tell the two apart. */
export const anyJson = z.unknown().refine((value) => value != null, 'is required');
// A record of zod leaves a key named __proto__ out without a word.
export const jsonObject = z.custom<Record<string, unknown>>(
  (value) => typeof value === 'object' && value !== null && !Array.isArray(value),
  { error: ({ input }) => (input === undefined ? 'is required' : `must be an object, got ${shown(input)}`) },
);

/** One of some words, in any case; given on as it stands here. */
export const oneOf = (...words: string[]) =>
  z
    .string()
    .meta({ description: `One of ${words.join(', ')}, in any case.` })
    .transform((given, check) => {
      const word = words.find((one) => one.toLowerCase() === given.toLowerCase());
      if (word !== undefined) return word;
      check.addIssue({ code: 'custom', message: `must be one of ${words.join(', ')}, got ${shown(given)}` });
      return z.NEVER;
    });

const tagColors = ['tag-red', 'tag-blue', 'tag-green', 'tag-purple'];

/** In every form that clients of any age send: `tag-red`, `RED`, `red`. */
export const tagColor = z
  .string()
  .meta({ description: `One of ${tagColors.join(', ')}; red or RED mean the same.` })
  .transform((given, check) => {
    const bare = given.toLowerCase().replace(/^tag-/, '');
    if (tagColors.includes(`tag-${bare}`)) return bare.toUpperCase();
    check.addIssue({ code: 'custom', message: `Tag color must be one of [${tagColors.join(', ')}]` });
    return z.NEVER;
  });

/** A body that names a conversation, as the input of an operation. */
export const conversationOnly = z
  .object({ conversation_id: id })
  .transform((body) => ({ input: { conversationId: body.conversation_id } }));

/** A body that carries nothing we read. */
export const nothing = z.object({}).transform(() => ({}));

const previousMark = 'before:';
/** The largest Int of GraphQL; how much a page holds at most is the list's to say. */
const largestInt = 2 ** 31 - 1;
/** More rows than any list has. */
const farthestOffset = 999_999_999;
const pageSize = z
  .int('must be a whole number, 0 for the default')
  .min(0, 'must be a whole number, 0 for the default')
  .nullish();
const cursor = z
  .union([z.string().refine((text) => text !== previousMark), z.int().min(0)], 'must be a cursor that this list gave')
  .nullish();

/** `cursor` and `page_size` of a body. */
export const pageFields = { cursor, page_size: pageSize };

/** The arguments of a connection for them: a previous cursor carries a mark, so that one field goes both ways. */
export function pageVariables(page: {
  cursor?: string | number | null;
  page_size?: number | null;
}): Record<string, unknown> {
  const size = Math.min(page.page_size ?? 0, largestInt);
  const given = page.cursor == null ? '' : String(page.cursor);
  const place = /^\d+$/.test(given) ? String(Math.min(Number(given), farthestOffset)) : given;
  if (place.startsWith(previousMark)) return { last: size, before: place.slice(previousMark.length) };
  return { first: size, ...(place !== '' && { after: place }) };
}

export interface PageInfoData {
  hasNextPage: boolean;
  hasPreviousPage: boolean;
  startCursor: string | null;
  endCursor: string | null;
}

/** Both dialects' words on where the page stands. */
export function pageAnswer(
  pageInfo: PageInfoData,
  totals: { total: number | null; filteredTotal: number | null },
  more: Record<string, unknown> = {},
) {
  const previous = pageInfo.hasPreviousPage && pageInfo.startCursor ? `${previousMark}${pageInfo.startCursor}` : null;
  const next = pageInfo.hasNextPage ? pageInfo.endCursor : null;
  return {
    response_metadata: {
      previous_cursor: previous ?? '',
      next_cursor: next ?? '',
      filtered_total: totals.filteredTotal,
      total: totals.total,
      ...more,
    },
    pagination_data: { previous_cursor: previous, next_cursor: next, total: totals.filteredTotal },
  };
}

/** Of a connection. */
export interface PageData {
  pageInfo: PageInfoData;
  total: number | null;
}

/** What stands in the document of a row that pages. */
export const pageInfoFields = 'pageInfo { hasNextPage hasPreviousPage startCursor endCursor }';
export const pageParameters = '$first: Int, $after: Cursor, $last: Int, $before: Cursor';
export const pageArguments = 'first: $first, after: $after, last: $last, before: $before';

/** Of a list that nothing filters. */
export function unfilteredAnswer({ pageInfo, total }: PageData) {
  return pageAnswer(pageInfo, { total, filteredTotal: total });
}

import { InvalidInput } from './errors.ts';
import { isUuid } from './ids.ts';

/**
 * What a list is asked for: either `first` after a place or `last` before one. A place is an opaque cursor; legacy
 * clients also give a bare id of the list (the page then begins with it) or a number of rows to leave out.
 */
export interface PageRequest {
  first?: number | null;
  after?: string | null;
  last?: number | null;
  before?: string | null;
}

export interface Page<Item> {
  items: Item[];
  hasNextPage: boolean;
  hasPreviousPage: boolean;
}

export const defaultPageSize = 20;
export const largestPage = 100;

export interface PageWindow {
  limit: number;
  /** True: the rows before the place, nearest last. */
  backwards: boolean;
  place?: Place;
}

/** Where a page begins: behind a sort key, at the present place of an id, or after a number of rows. */
export type Place =
  | { kind: 'key'; key: unknown[]; path: string }
  | { kind: 'id'; id: string; path: string }
  | { kind: 'offset'; offset: number; path: string };

/**
 * Checks sizes, combinations and the cursor. null or 0 means 20, above 100 means 100; an empty cursor is the start.
 *
 * @param list name that this list's cursors carry
 * @throws InvalidInput
 */
export function pageWindow(list: string, request: PageRequest): PageWindow {
  if (request.last != null && (request.first != null || request.after)) {
    throw new InvalidInput('last', 'give either first and after, or last and before');
  }
  const backwards = request.last != null || Boolean(request.before);
  if (backwards && request.after) throw new InvalidInput('after', 'give either after or before');
  const size = request.first ?? request.last ?? 0;
  if (size < 0) throw new InvalidInput(request.last != null ? 'last' : 'first', 'must be 0 (the default) or more');
  const place = backwards ? request.before : request.after;
  return {
    limit: size === 0 ? defaultPageSize : Math.min(size, largestPage),
    backwards,
    place: place ? parsePlace(list, place, backwards ? 'before' : 'after') : undefined,
  };
}

function parsePlace(list: string, text: string, path: string): Place {
  if (isUuid(text)) return { kind: 'id', id: text, path };
  if (/^\d{1,9}$/.test(text) && path === 'after') return { kind: 'offset', offset: Number(text), path };
  const key = decodeCursor(list, text);
  if (!key) throw unknownCursor(path);
  return { kind: 'key', key, path };
}

/**
 * Cuts a window's rows, read with one row more than the limit, to a page in list order.
 *
 * @param startsInside whether the place asked from has rows on its other side
 */
export function toPage<Item>(window: PageWindow, found: Item[], startsInside: boolean): Page<Item> {
  const hasMore = found.length > window.limit;
  const items = hasMore ? found.slice(0, window.limit) : found;
  if (window.backwards) return { items: items.reverse(), hasNextPage: startsInside, hasPreviousPage: hasMore };
  return { items, hasNextPage: hasMore, hasPreviousPage: startsInside };
}

/** Opaque place in a list: the sort key and the id, so that nothing repeats or is skipped because others moved. */
export function encodeCursor(list: string, key: (string | number)[]): string {
  return Buffer.from(JSON.stringify([list, ...key])).toString('base64url');
}

function decodeCursor(list: string, cursor: string): unknown[] | undefined {
  if (cursor.length > 512) return undefined;
  try {
    const parsed: unknown = JSON.parse(Buffer.from(cursor, 'base64url').toString());
    if (!Array.isArray(parsed) || parsed[0] !== list) return undefined;
    return parsed.slice(1);
  } catch {
    return undefined;
  }
}

export function unknownCursor(path: string): InvalidInput {
  return new InvalidInput(path, 'must be a cursor that this list gave');
}

/** The last instant of the years that are stored. */
export const latestInstantMs = Date.UTC(9999, 11, 31, 23, 59, 59, 999);

/** An instant out of a cursor's key: within the years that are stored. @throws InvalidInput a forged cursor */
export function instantOfKey(value: unknown, path: string): Date {
  if (Number.isSafeInteger(value) && (value as number) >= 0 && (value as number) <= latestInstantMs) {
    return new Date(value as number);
  }
  throw unknownCursor(path);
}

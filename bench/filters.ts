import { type Matches, tagIds } from './load-data.ts';

/** The filters that lists are measured with. */
export type FilterName = 'name' | 'tag' | 'unread';

/** A filter as REST and GraphQL take it, and how many conversations it matches. */
export interface FilterCase {
  filters: string;
  matches: number;
}

/** What a filter is asked: each of the tags, so that no answer stays in a cache for the next request. */
export function filterCases(filter: FilterName, matches: Matches): FilterCase[] {
  switch (filter) {
    case 'name':
      return [{ filters: 'display_name:*Lovelace', matches: matches.name }];
    case 'tag':
      return tagIds.map((id, index) => ({ filters: `tag_ids:${id}`, matches: matches.tags[index]! }));
    case 'unread':
      return [{ filters: 'unread_count:[1 TO *]', matches: matches.unread }];
  }
}

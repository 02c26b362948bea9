import { InvalidInput } from '../../errors.ts';
import { isStorableText } from '../../text.ts';
import { fieldNamed } from './filter-fields.ts';
import { simplified } from './filter-plan.ts';
import { comparedLength, type Filter, type Leaf, leavesOf, type NumberField } from './filter-tree.ts';
import { wordsOf } from './filter-words.ts';
import { FilterFault, longestQuery, mostClauses, mostWildcards, parseLucene } from './lucene.ts';
import { everything, leafOf, nothing } from './lucene-leaves.ts';

/** What a list of conversations is asked for. All that is given must hold. */
export interface ConversationTerms {
  /** In the syntax of Lucene: see docs/filters.md. */
  query?: string | null;
  /** One of them. */
  states?: ('OPEN' | 'SNOOZED' | 'CLOSED')[] | null;
  /** One of them. */
  channelIds?: string[] | null;
  /** Names of sources: one of them. */
  sourceIds?: string[] | null;
  /** All of them. */
  tagIds?: string[] | null;
  assigneeId?: string | null;
  unassigned?: boolean | null;
  unread?: boolean | null;
  createdFrom?: Date | null;
  createdBefore?: Date | null;
  lastMessageFrom?: Date | null;
  lastMessageBefore?: Date | null;
  /** Words in the contact's name or in one message; the last may be the beginning of one. */
  text?: string | null;
  /** All of them: the words of `value` in a row at `key`, whose dots nest. */
  metadata?: { key: string; value: string }[] | null;
}

export interface ConversationFilter extends ConversationTerms {
  /** One of these holds too. */
  anyOf?: ConversationTerms[] | null;
  /** None of these holds. */
  noneOf?: ConversationTerms[] | null;
}

const longestText = 200;
const mostWordsOfText = 32;
const mostNear = 4;

/**
 * The tree of a filter, of whichever form.
 *
 * @throws InvalidInput `query` does not parse (the message names the column), too much at once
 */
export function filterOf(filter: ConversationFilter, path = 'filter'): Filter {
  checkSize(filter, path);
  const anyOf = filter.anyOf?.map((terms, index) => termsOf(terms, `${path}.anyOf[${index}]`));
  const noneOf = filter.noneOf?.map((terms, index) => termsOf(terms, `${path}.noneOf[${index}]`)) ?? [];
  const parts: Filter[] = [
    termsOf(filter, path),
    ...(anyOf ? [{ kind: 'any', of: anyOf } as const] : []),
    ...noneOf.map((terms): Filter => ({ kind: 'not', of: terms })),
  ];
  const tree = simplified({ kind: 'all', of: parts });
  const clauses = clausesOf(tree);
  if (clauses > mostClauses) throw tooMany(path, 'clauses', clauses, mostClauses);
  const wildcards = leavesOf(tree).flatMap((leaf) =>
    'pattern' in leaf ? leaf.pattern.filter((part) => typeof part === 'string') : [],
  );
  const near = leavesOf(tree).filter(({ kind }) => kind === 'near').length;
  if (near > mostNear) throw tooMany(path, 'near misses', near, mostNear);
  // One character may stand for eighteen.
  const compared = leavesOf(tree).reduce((sum, leaf) => sum + comparedLength(leaf), 0);
  if (compared > longestQuery) throw tooMany(path, 'characters to compare', compared, longestQuery);
  if (wildcards.length > mostWildcards) throw tooMany(path, 'wildcards', wildcards.length, mostWildcards);
  return tree;
}

// One of several states was written as one clause.
function clausesOf(filter: Filter): number {
  if (filter.kind === 'not') return clausesOf(filter.of);
  if (filter.kind !== 'all' && filter.kind !== 'any') return 1;
  const areStates = filter.of.length > 0 && filter.of.every((part) => part.kind === 'is' && part.field === 'state');
  if (filter.kind === 'any' && areStates) return 1;
  return filter.of.reduce((sum, part) => sum + clausesOf(part), 0);
}

// Before anything is parsed: what one text may be, all of them may be together.
function checkSize({ anyOf, noneOf, ...terms }: ConversationFilter, path: string): void {
  const all: ConversationTerms[] = [terms, ...(anyOf ?? []), ...(noneOf ?? [])];
  if (all.length > mostClauses) throw tooMany(path, 'clauses', all.length, mostClauses);
  const texts = all.flatMap(({ query, text, metadata = [] }) => [
    query ?? '',
    text ?? '',
    ...(metadata ?? []).flatMap(({ key, value }) => [key, value]),
  ]);
  const length = texts.reduce((sum, text) => sum + text.length, 0);
  // A query alone has a message of its own, with the column.
  if (length > longestQuery && length !== (terms.query?.length ?? 0))
    throw tooMany(path, 'characters', length, longestQuery);
}

function tooMany(path: string, what: string, count: number, most: number): InvalidInput {
  return new InvalidInput(path, `has ${count} ${what}, at most ${most} are allowed`);
}

function termsOf(terms: ConversationTerms, path: string): Filter {
  const parts: Filter[] = [];
  const oneOf = (field: Extract<Leaf, { kind: 'is' }>['field'], values: readonly string[] | null | undefined) => {
    if (values) parts.push({ kind: 'any', of: values.map((value) => ({ kind: 'is', field, value })) });
  };
  const { query } = terms;
  if (query != null) parts.push(told(`${path}.query`, () => parseLucene(query)));
  oneOf('state', terms.states);
  oneOf('channel_id', terms.channelIds);
  oneOf('source', terms.sourceIds);
  for (const value of terms.tagIds ?? []) parts.push({ kind: 'is', field: 'tag_ids', value });
  if (terms.assigneeId != null) parts.push({ kind: 'is', field: 'assignee_id', value: terms.assigneeId });
  const held: Leaf = { kind: 'has', field: 'assignee_id' };
  if (terms.unassigned != null) parts.push(terms.unassigned ? { kind: 'not', of: held } : held);
  if (terms.unread != null) {
    const [from, to] = terms.unread ? [1, Number.POSITIVE_INFINITY] : [0, 0];
    parts.push({ kind: 'between', field: 'unread_count', from, to });
  }
  parts.push(...spanOf('created_at', terms.createdFrom, terms.createdBefore));
  parts.push(...spanOf('last_message_at', terms.lastMessageFrom, terms.lastMessageBefore));
  if (terms.text != null) parts.push(textOf(terms.text, `${path}.text`));
  for (const [index, fact] of (terms.metadata ?? []).entries()) {
    parts.push(factOf(fact, `${path}.metadata[${index}]`));
  }
  return { kind: 'all', of: parts };
}

function told(path: string, read: () => Filter): Filter {
  try {
    return read();
  } catch (error) {
    if (error instanceof FilterFault) throw new InvalidInput(path, error.message);
    throw error;
  }
}

// Blank while somebody begins to type: nothing is left out yet. Signs alone are in no text.
function textOf(text: string, path: string): Filter {
  if (text.length > longestText) throw new InvalidInput(path, `must be at most ${longestText} characters`);
  if (!isStorableText(text)) throw new InvalidInput(path, 'must be text without NUL and half characters');
  const words = wordsOf(text);
  if (words.length === 0) return text.trim() === '' ? everything : nothing;
  if (words.length > mostWordsOfText) throw new InvalidInput(path, `must be at most ${mostWordsOfText} words`);
  return { kind: 'text', field: 'text', words, text };
}

function spanOf(field: NumberField, from: Date | null | undefined, before: Date | null | undefined): Filter[] {
  if (!from && !before) return [];
  const to = before ? before.getTime() - 1 : Number.POSITIVE_INFINITY;
  return [{ kind: 'between', field, from: from ? from.getTime() : Number.NEGATIVE_INFINITY, to }];
}

function factOf({ key, value }: { key: string; value: string }, path: string): Filter {
  const field = fieldNamed(['metadata', ...key.split('.')]);
  if (!field) throw new InvalidInput(`${path}.key`, 'must be keys with a dot between each');
  if (value === '') return nothing;
  const whole = { kind: 'phrase', at: 0, end: value.length, text: value } as const;
  return told(`${path}.value`, () => leafOf({ name: `metadata.${key}`, field, value: whole }));
}

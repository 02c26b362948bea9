import { type RawBuilder, sql } from 'kysely';
import { isUuid } from '../../ids.ts';
import type { SourceName } from '../sources/source.service.ts';
import { mayBeDefaultName, namesLabel } from './filter-default-name.ts';
import { nearWord } from './filter-near.ts';
import { signsOf, takesAll } from './filter-pattern.ts';
import type { ExactField, Filter, Leaf, NumberField, Pattern, WordsField, WordsLeaf } from './filter-tree.ts';
import { blankedText } from './filter-words.ts';

type Condition = RawBuilder<unknown>;

const always = sql`true`;
const never = sql`false`;

export interface Against {
  /** All there are: names of sources are compared here. */
  sources: readonly SourceName[];
  /** The condition is asked of one conversation after the other, until enough are found. */
  isWalk?: boolean;
}

/**
 * A filter as a condition on `conversation c`, left joined with its `contact p` where `needsContact` says so. Fields come
 * from here alone, values are bound.
 */
export function conditionOf(filter: Filter, to: Against): Condition {
  switch (filter.kind) {
    case 'all':
      return joined(filter.of, to, ' and ', always);
    case 'any':
      return joined(filter.of, to, ' or ', never);
    case 'not':
      // What is unknown, such as whether nobody's name has a word, is not so.
      return sql`(${conditionOf(filter.of, to)}) is not true`;
    default:
      return leafCondition(filter, to);
  }
}

function joined(parts: readonly Filter[], to: Against, by: string, none: Condition): Condition {
  if (parts.length === 0) return none;
  return sql`(${sql.join(
    parts.map((part) => conditionOf(part, to)),
    sql.raw(by),
  )})`;
}

/** Whether the condition asks for the contact. */
export function needsContact(leaves: readonly Leaf[]): boolean {
  return leaves.some(({ field }) => typeof field === 'object' && field.kind === 'display_name');
}

function leafCondition(leaf: Leaf, to: Against): Condition {
  switch (leaf.kind) {
    case 'is':
      return exactCondition(leaf.field, leaf.value, to);
    case 'matches':
      return matchesCondition(leaf.field, leaf.pattern, to);
    case 'between':
      return betweenCondition(leaf.field, leaf.from, leaf.to);
    case 'text':
      return to.isWalk ? textOfRow(leaf) : textOfAll(leaf);
    case 'has':
      return typeof leaf.field === 'object' ? hasWords(leaf.field) : hasExact(leaf.field);
    default:
      return leaf.field.kind === 'display_name' ? nameCondition(leaf, to) : metadataCondition(leaf, leaf.field.path);
  }
}

function exactCondition(field: ExactField, value: string, { sources }: Against): Condition {
  if (field === 'state') return sql`c.state = ${sql.lit(value)}`;
  if (field === 'source') return ofSources(sources.filter(({ sourceId }) => sourceId === value));
  // As stored: another spelling of an id is another text.
  if (!isUuid(value) || value !== value.toLowerCase()) return never;
  switch (field) {
    case 'id':
      return sql`c.id = ${unplanned(value, 'uuid')}`;
    case 'channel_id':
      return sql`c.channel_id = ${unplanned(value, 'uuid')}`;
    case 'assignee_id':
      return sql`c.assignee_id = ${unplanned(value, 'uuid')}`;
    case 'tag_ids':
      return sql`exists (select from conversation_tag ct where ct.conversation_id = c.id and ct.tag_id = ${unplanned(value, 'uuid')})`;
  }
}

function matchesCondition(field: ExactField, pattern: Pattern, { sources }: Against): Condition {
  const like = likeOf(pattern);
  switch (field) {
    case 'state':
      return sql`c.state like ${like}`;
    case 'source': {
      const signs = signsOf(pattern);
      const isMeant = (name: string) => takesAll(signs, [...name], (sign, character) => sign === character);
      return ofSources(sources.filter(({ sourceId }) => isMeant(sourceId)));
    }
    case 'id':
      return sql`c.id::text like ${like}`;
    case 'channel_id':
      return sql`c.channel_id::text like ${like}`;
    case 'assignee_id':
      return sql`c.assignee_id::text like ${like}`;
    case 'tag_ids':
      return sql`exists (select from conversation_tag ct where ct.conversation_id = c.id and ct.tag_id::text like ${like})`;
  }
}

function ofSources(sources: readonly SourceName[]): Condition {
  if (sources.length === 0) return never;
  if (sources.length === 1) return sql`c.source = ${unplanned(sources[0]!.id, 'uuid')}`;
  return sql`c.source = any(${sources.map(({ id }) => id)}::uuid[])`;
}

function betweenCondition(field: NumberField, from: number, to: number): Condition {
  return field === 'unread_count'
    ? unreadBetween(sql`c.unread_count`, from, to)
    : between(sql.ref(`c.${field}`), { from, to, bound: (ms) => sql`${instantOf(ms)}::timestamptz` });
}

const largestCount = 2 ** 31 - 1;

/** As a condition on a column of counts, which hold no more than an int does. */
export function unreadBetween(column: Condition, from: number, to: number): Condition {
  if (from > largestCount) return never;
  return between(column, { from, to, bound: (count) => sql`${Math.max(-1, Math.min(count, largestCount))}::int` });
}

interface Span {
  from: number;
  to: number;
  bound(value: number): Condition;
}

function between(column: Condition, { from, to, bound }: Span): Condition {
  if (from > to) return never;
  const bounds = [
    ...(from > Number.NEGATIVE_INFINITY ? [sql`${column} >= ${bound(from)}`] : []),
    ...(to < Number.POSITIVE_INFINITY ? [sql`${column} <= ${bound(to)}`] : []),
  ];
  return bounds.length === 0 ? always : sql`(${sql.join(bounds, sql` and `)})`;
}

// The year 1 and the year 9999.
const firstMs = -62_135_596_800_000;
const lastMs = Date.UTC(9999, 11, 31, 23, 59, 59, 999);

/** An instant as PostgreSQL reads it; beyond the years that are stored there is nothing. */
export function instantOf(ms: number): string {
  if (ms > lastMs) return 'infinity';
  return ms < firstMs ? '-infinity' : new Date(ms).toISOString();
}

function hasExact(field: ExactField | NumberField): Condition {
  if (field === 'assignee_id') return sql`c.assignee_id is not null`;
  if (field === 'tag_ids') return sql`exists (select from conversation_tag ct where ct.conversation_id = c.id)`;
  return always;
}

function hasWords(field: WordsField): Condition {
  if (field.kind === 'display_name') return always;
  const found = pathsOf(field.path).map((path) => sql`${valueAt(path)} <> 'null'`);
  return sql`(c.metadata <> '{}' and ${anyOf(found)})`;
}

// What people noted with metadata.set is asked for with and without `public.`.
function pathsOf(path: readonly string[]): string[][] {
  return path[0] === 'public' ? [[...path]] : [[...path], ['public', ...path]];
}

// `#>` would take a number for a place in a list; a path names keys.
function valueAt(path: readonly string[]): Condition {
  if (!path.some((key) => /^\s*[+-]?\d+$/.test(key))) return sql`c.metadata #> ${[...path]}::text[]`;
  const keys = path.map((key) => `.${JSON.stringify(key)}`).join('');
  return sql`jsonb_path_query_first(c.metadata, ${`strict $${keys}`}::jsonpath, '{}', true)`;
}

function anyOf(conditions: readonly Condition[]): Condition {
  return sql`(${sql.join(conditions, sql` or `)})`;
}

function nameCondition(leaf: WordsLeaf, { sources }: Against): Condition {
  const named = wordsCondition(leaf, sql`p.name_words`);
  const possible = sources.filter(({ sourceId }) => mayBeDefaultName(leaf, sourceId));
  if (possible.length === 0) return named;
  const shown = sql`parley_words(s.label || ' ' || right(c.id::text, 5))`;
  return sql`(${named} or p.name_words is null and exists (
    select from unnest(${possible.map(({ id }) => id)}::uuid[], ${possible.map(({ sourceId }) => namesLabel(sourceId))}::text[])
      s(id, label) where s.id = c.source and ${wordsCondition(leaf, shown)}))`;
}

function metadataCondition(leaf: WordsLeaf, path: readonly string[]): Condition {
  // An array holds each of its texts, numbers and booleans.
  const found = pathsOf(path).map(
    (one) => sql`exists (
      select from jsonb_path_query(${valueAt(one)}, 'lax $[*] ? (@.type() != "object" && @.type() != "array" && @.type() != "null")') v
      where ${wordsCondition(leaf, sql`parley_words(left(v #>> '{}', 1000))`)})`,
  );
  // Most conversations have none: that is seen at once.
  const exact = sql`c.metadata <> '{}' and ${anyOf(found)}`;
  if (leaf.kind !== 'words') return sql`(${exact})`;
  // The index knows the words, not where they stand.
  const [longest] = leaf.words.toSorted((one, other) => other.length - one.length);
  const indexed = [[...longest!].slice(0, 64).join(''), '*'];
  return sql`(parley_json_words(c.metadata) && ${indexed}::text[] and ${exact})`;
}

type TextLeaf = Extract<Leaf, { kind: 'text' }>;

// Found by two indexes, each of which finds few: neither would be used where one or the other may hold.
function textOfAll(leaf: TextLeaf): Condition {
  return sql`c.id in (
    select n.id from contact k join conversation n on n.contact_id = k.id where ${isNamed(leaf, sql`k.name_words`)}
    union all
    select conversation_id from message where ${hasText(leaf)})`;
}

/** The same for one conversation after the other: not all are looked for first. */
function textOfRow(leaf: TextLeaf): Condition {
  return sql`(exists (select from contact k where k.id = c.contact_id and ${isNamed(leaf, sql`k.name_words`)})
    or exists (select from message where conversation_id = c.id and ${hasText(leaf)}))`;
}

function isNamed({ words }: TextLeaf, subject: Condition): Condition {
  const all = words.map((word, index) => (index === words.length - 1 ? `% ${word}%` : `% ${word} %`));
  return sql.join(
    all.map((one) => sql`${subject} like ${one}`),
    sql` and `,
  );
}

/** A beginning that is shorter is a word: half of all words would begin with it. */
const shortestBeginning = 3;

/** As a condition on `message`. The text as PostgreSQL reads it, addresses in one piece, or its words, the last one begun. */
export function hasText({ words, text }: TextLeaf): Condition {
  const isBegun = [...words.at(-1)!].length >= shortestBeginning;
  const begun = `${words.map((word) => `'${word}'`).join(' & ')}${isBegun ? ':*' : ''}`;
  return sql`length(content::text) <= 4000 and jsonb_to_tsvector('simple', content, '["string"]')
    @@ (plainto_tsquery('simple', ${text}) || to_tsquery('simple', ${begun}))`;
}

/**
 * A bound value as a query of its own, which PostgreSQL does not look at while it plans: by each value that it knew it would
 * plan anew, which costs more than to find a page.
 */
export function unplanned(value: unknown, type: 'text' | 'text[]' | 'uuid'): Condition {
  return sql`(select ${value}::${sql.raw(type)})`;
}

function like(subject: Condition, pattern: string): Condition {
  return sql`${subject} like ${unplanned(pattern, 'text')}`;
}

/** A condition on words with a blank around each. */
function wordsCondition(leaf: WordsLeaf, subject: Condition): Condition {
  switch (leaf.kind) {
    case 'words':
      return like(subject, `% ${leaf.words.join(' ')} %`);
    case 'like':
      return saysNothing(leaf.pattern) ? never : like(subject, likeWithin(leaf.pattern));
    case 'near':
      return sql`exists (select from string_to_table(btrim(${subject}), ' ') w where ${nearWord(leaf.word, leaf.distance)})`;
  }
}

const escaped = (text: string): string => text.replace(/[\\%_]/g, '\\$&');

function likeOf(pattern: Pattern): string {
  return pattern.map((part) => (part === '*' ? '%' : part === '?' ? '_' : escaped(part.text))).join('');
}

/** True for texts without a letter or digit: in words there is none of them. */
function saysNothing(pattern: Pattern): boolean {
  const texts = pattern.flatMap((part) => (typeof part === 'string' ? [] : [part.text]));
  return texts.length > 0 && texts.every((text) => blankedText(text).trim() === '');
}

/** Anywhere in the words, from the beginning of one to the end of one. */
function likeWithin(pattern: Pattern): string {
  const parts = pattern.map((part) => (typeof part === 'string' ? part : { text: blankedText(part.text) }));
  // A blank stands at the very beginning and the very end: before `*` it says nothing that the index had to look up.
  const begin = parts[0] === '*' ? '' : '% ';
  const end = parts.at(-1) === '*' ? '' : ' %';
  return `${begin}${likeOf(parts)}${end}`.replace(/ {2,}/g, ' ');
}

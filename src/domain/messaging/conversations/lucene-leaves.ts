import type { Field } from './filter-fields.ts';
import { readCount, readInstant } from './filter-numbers.ts';
import type { Filter, NumberField, Pattern } from './filter-tree.ts';
import { wordsOf } from './filter-words.ts';
import { FilterFault, type Phrase, type Range, type RangeEnd, shown, type Term } from './lucene-tokens.ts';

export type Value = Term | Phrase | Range;
/** The `~1` or `~2` behind a value. */
export type Fuzzy = { at: number; distance: 1 | 2 };
/** A question as it was written; `name` is the field as the filter calls it. */
export type Question = { name: string; field: Field; value: Value; fuzzy?: Fuzzy };
type NumberQuestion = Question & { field: Extract<Field, { kind: 'instant' | 'count' }> };

export const everything: Filter = { kind: 'all', of: [] };
export const nothing: Filter = { kind: 'any', of: [] };
/** Letters of a word that others may be near to: the words to compare grow with the square of it. */
const longestNear = 32;
const states = ['OPEN', 'SNOOZED', 'CLOSED'];

/** The leaf that a question means, or a small tree where it asks for a state, for anything or for nothing. */
export function leafOf(question: Question): Filter {
  const { field } = question;
  switch (field.kind) {
    case 'exact':
      return exactly(question, field.field);
    case 'state':
      return stateOf(question);
    case 'tag':
      exactValue(question);
      return { kind: 'is', field: 'tag_ids', value: field.id };
    case 'words':
      return inWords(question, field.field);
    default:
      return between({ ...question, field });
  }
}

function exactly(question: Question, field: Extract<Field, { kind: 'exact' }>['field']): Filter {
  const value = exactValue(question);
  if (typeof value === 'string') return { kind: 'is', field, value };
  if (!isAnything(value)) return { kind: 'matches', field, pattern: value };
  return field === 'id' ? everything : { kind: 'has', field };
}

function stateOf(question: Question): Filter {
  const value = exactValue(question);
  if (typeof value !== 'string' && isAnything(value)) return { kind: 'has', field: 'state' };
  const wanted = typeof value === 'string' ? [{ text: value }] : value;
  const found = states.filter((state) => matches(wanted, state));
  const leaves = found.map((state): Filter => ({ kind: 'is', field: 'state', value: state }));
  return leaves.length === 1 ? leaves[0]! : { kind: 'any', of: leaves };
}

/** Of a field without words or numbers: a text, or a pattern where the value has wildcards. */
function exactValue({ name, value, fuzzy }: Question): string | Pattern {
  if (value.kind === 'range') throw noRange(name, value);
  if (fuzzy) throw new FilterFault(fuzzy.at, `expected no "~" for ${shown(name)}, its values are exact`);
  return value.kind === 'term' && value.wildcards.length > 0 ? value.pattern : textOf(value);
}

function inWords({ name, value, fuzzy }: Question, field: Extract<Field, { kind: 'words' }>['field']): Filter {
  if (value.kind === 'range') throw noRange(name, value);
  const hasWildcards = value.kind === 'term' && value.wildcards.length > 0;
  if (fuzzy) {
    const words = hasWildcards || value.kind === 'phrase' ? [] : wordsOf(textOf(value));
    if (words.length === 1 && [...words[0]!].length > longestNear) {
      throw new FilterFault(fuzzy.at, `expected at most ${longestNear} letters before "~"`);
    }
    if (words.length === 1) return { kind: 'near', field, word: words[0]!, distance: fuzzy.distance };
    throw new FilterFault(fuzzy.at, 'expected "~" behind a single word, without quotes and wildcards');
  }
  if (hasWildcards) {
    if (isAnything(value.pattern)) return { kind: 'has', field };
    const pattern = value.pattern.map((one) => (typeof one === 'string' ? one : { text: one.text.normalize('NFKC') }));
    return { kind: 'like', field, pattern };
  }
  const words = wordsOf(textOf(value));
  return words.length === 0 ? nothing : { kind: 'words', field, words };
}

function between({ name, field: { kind, field }, value, fuzzy }: NumberQuestion): Filter {
  const read = (text: string, at: number): number => {
    const number = kind === 'instant' ? readInstant(text) : readCount(text);
    if (number !== undefined) return number;
    const right = kind === 'instant' ? 'epoch milliseconds or ISO 8601 with a zone' : 'a whole number';
    throw new FilterFault(at, `expected ${right} for ${shown(name)}, got ${shown(text)}`);
  };
  if (fuzzy) throw new FilterFault(fuzzy.at, `expected no "~" for ${shown(name)}, it takes a number or a range`);
  if (value.kind === 'range') return rangeOf(field, value, read);
  if (value.kind === 'term' && value.wildcards.length > 0) {
    if (isAnything(value.pattern)) return everything;
    throw new FilterFault(value.wildcards[0]!, `expected no wildcard for ${shown(name)}, or only "*"`);
  }
  const number = read(textOf(value), value.at);
  return { kind: 'between', field, from: number, to: number };
}

function rangeOf(field: NumberField, range: Range, read: (text: string, at: number) => number): Filter {
  const end = ({ isOpen, text, at }: RangeEnd, open: number): number => (isOpen ? open : read(text, at));
  const from = end(range.from, Number.NEGATIVE_INFINITY) + (range.withFrom ? 0 : 1);
  const to = end(range.to, Number.POSITIVE_INFINITY) - (range.withTo ? 0 : 1);
  return { kind: 'between', field, from, to };
}

function noRange(name: string, { at }: Range): FilterFault {
  return new FilterFault(
    at,
    `expected a value for ${shown(name)}; ranges are for created_at, last_message_at and unread_count`,
  );
}

function isAnything(pattern: Pattern): boolean {
  return pattern.length === 1 && pattern[0] === '*';
}

function textOf(value: Term | Phrase): string {
  if (value.kind === 'phrase') return value.text;
  return value.pattern.map((one) => (typeof one === 'string' ? one : one.text)).join('');
}

/** Any case, and lower case on both sides: in upper case the long s of old prints would be an S. */
function matches([first, ...rest]: Pattern, text: string): boolean {
  if (first === undefined) return text === '';
  if (first === '*') return matches(rest, text) || (text !== '' && matches([first, ...rest], text.slice(1)));
  if (first === '?') return text !== '' && matches(rest, text.slice(1));
  const { length } = first.text;
  return text.slice(0, length).toLowerCase() === first.text.toLowerCase() && matches(rest, text.slice(length));
}

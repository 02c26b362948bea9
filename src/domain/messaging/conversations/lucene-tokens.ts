import type { Pattern } from './filter-tree.ts';

/** A filter that does not parse. `column` counts UTF-16 units from 1; one past the end means that something is missing. */
export class FilterFault extends Error {
  readonly column: number;

  /** @param at index in the text, from 0 */
  constructor(at: number, message: string) {
    super(`column ${at + 1}: ${message}`);
    this.name = 'FilterFault';
    this.column = at + 1;
  }
}

/** `at` is where it begins, `end` the index behind it. */
interface Place {
  at: number;
  end: number;
}
/** One word outside quotes. `wildcards`: where they stand; those behind a backslash are text. */
export type Term = Place & { kind: 'term'; pattern: Pattern; wildcards: number[] };
export type Phrase = Place & { kind: 'phrase'; text: string };
export type RangeEnd = { at: number; text: string; isOpen: boolean };
export type Range = Place & { kind: 'range'; from: RangeEnd; to: RangeEnd; withFrom: boolean; withTo: boolean };
export type Sign = Place & { kind: 'and' | 'or' | 'not' | '+' | '-' | '(' | ')' | ':' | 'end' };
/** `~` or `^` with what stands directly behind it. */
export type Suffix = Place & { kind: '~' | '^'; value: string };
export type Token = Term | Phrase | Range | Sign | Suffix;

// Any white space separates, not only Lucene's five: a blank copied from a web page looks like one.
const blank = /\s/;
const endsTerm = /[\s!():^[\]"{}~/]/;
const suffixValue = /[^\s!():^[\]"{}~/\\*?]*/y;
const rangeText = /(?:\\.|[^\s\]}\\])+/sy;
const keywords = new Map<string, 'and' | 'or' | 'not'>([
  ['AND', 'and'],
  ['&&', 'and'],
  ['OR', 'or'],
  ['||', 'or'],
  ['NOT', 'not'],
]);
const longestShown = 60;

/** A part of the filter for a message: in quotes, on one line, not too long. */
export function shown(text: string): string {
  return JSON.stringify(text.length > longestShown ? `${text.slice(0, longestShown).toWellFormed()}...` : text);
}

/** The token at or behind `from`; behind the last one an `end`. */
export function tokenAt(text: string, from: number): Token {
  const at = skipBlanks(text, from);
  const sign = text[at];
  const end = at + 1;
  switch (sign) {
    case undefined:
      return { kind: 'end', at, end: at };
    case '(':
    case ')':
    case ':':
    case '+':
    case '-':
      return { kind: sign, at, end };
    case '!':
      return { kind: 'not', at, end };
    case '"':
      return phraseAt(text, at);
    case '[':
    case '{':
      return rangeAt(text, at);
    case '~':
    case '^': {
      const value = match(suffixValue, text, end);
      return { kind: sign, at, end: end + value.length, value };
    }
    case ']':
    case '}':
      throw new FilterFault(at, `expected a "[" or "{" somewhere in front of this "${sign}"`);
    case '/':
      throw new FilterFault(
        at,
        'expected no regular expression; a "/" of a value is written "\\/" or stands in quotes',
      );
    default:
      return wordAt(text, at);
  }
}

/** The keys of a field's name with the index of each in the text: a dot separates them, `\.` does not. */
export function keysOf(text: string, { at, end }: Place): { key: string; at: number }[] {
  const keys = [{ key: '', at }];
  for (let index = at; index < end; index++) {
    if (text[index] === '.') keys.push({ key: '', at: index + 1 });
    else {
      if (text[index] === '\\') index++;
      keys.at(-1)!.key += text[index];
    }
  }
  return keys;
}

export function isBefore(sign: string, text: string, from: number): boolean {
  return text[skipBlanks(text, from)] === sign;
}

function skipBlanks(text: string, from: number): number {
  let at = from;
  while (at < text.length && blank.test(text[at]!)) at++;
  return at;
}

function match(sticky: RegExp, text: string, at: number): string {
  sticky.lastIndex = at;
  return sticky.exec(text)?.[0] ?? '';
}

function wordAt(text: string, at: number): Term | Sign {
  const term = termAt(text, at);
  const keyword = keywords.get(text.slice(at, term.end));
  return keyword ? { kind: keyword, at, end: term.end } : term;
}

function termAt(text: string, at: number): Term {
  const pattern: ({ text: string } | '*' | '?')[] = [];
  const wildcards: number[] = [];
  let end = at;
  for (; end < text.length && !endsTerm.test(text[end]!); end++) {
    let sign = text[end]!;
    const last = pattern.at(-1);
    if (sign === '*' || sign === '?') {
      wildcards.push(end);
      if (sign === '?' || last !== '*') pattern.push(sign);
      continue;
    }
    if (sign === '\\') sign = escapedAt(text, ++end);
    if (typeof last === 'object') last.text += sign;
    else pattern.push({ text: sign });
  }
  return { kind: 'term', at, end, pattern, wildcards };
}

function escapedAt(text: string, at: number): string {
  const sign = text[at];
  if (sign === undefined) throw new FilterFault(at, 'expected a character behind "\\"');
  return sign;
}

function phraseAt(text: string, at: number): Phrase {
  let content = '';
  for (let index = at + 1; index < text.length; index++) {
    if (text[index] === '"') return { kind: 'phrase', at, end: index + 1, text: content };
    if (text[index] === '\\') index++;
    content += text[index] ?? '';
  }
  throw new FilterFault(at, 'expected a closing quote for this one');
}

function rangeAt(text: string, at: number): Range {
  const from = rangeEndAt(text, at + 1, at);
  const to = rangeEndAt(text, behindTo(text, from.end, at), at);
  const closing = skipBlanks(text, to.end);
  const sign = bracketed(text, closing, at);
  if (sign !== ']' && sign !== '}') throw new FilterFault(closing, 'expected "]" or "}" behind the end of the range');
  return { kind: 'range', at, end: closing + 1, from, to, withFrom: text[at] === '[', withTo: sign === ']' };
}

function behindTo(text: string, from: number, opening: number): number {
  const at = skipBlanks(text, from);
  bracketed(text, at, opening);
  if (match(rangeText, text, at) !== 'TO') throw new FilterFault(at, 'expected "TO" between the ends of the range');
  return at + 2;
}

function rangeEndAt(text: string, from: number, opening: number): RangeEnd & Place {
  const at = skipBlanks(text, from);
  if (bracketed(text, at, opening) === '"') return { ...phraseAt(text, at), isOpen: false };
  const raw = match(rangeText, text, at);
  if (raw === '') throw new FilterFault(at, 'expected a value or "*" as an end of the range');
  return { at, end: at + raw.length, text: raw.replace(/\\(.)/gs, '$1'), isOpen: raw === '*' };
}

/** What stands at an index within brackets, which the end of the text does not close. */
function bracketed(text: string, at: number, opening: number): string {
  const sign = text[at];
  if (sign === undefined) throw new FilterFault(opening, `expected a closing "]" or "}" for this "${text[opening]}"`);
  return sign;
}

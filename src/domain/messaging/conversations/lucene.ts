import { allowedFields, type Field, fieldNamed } from './filter-fields.ts';
import type { Filter } from './filter-tree.ts';
import { everything, type Fuzzy, leafOf, type Value } from './lucene-leaves.ts';
import { FilterFault, isBefore, keysOf, shown, type Term, type Token, tokenAt } from './lucene-tokens.ts';

export { FilterFault } from './lucene-tokens.ts';

/** Characters. */
export const longestQuery = 4_000;
export const mostClauses = 64;
export const mostWildcards = 8;
const deepest = 10;
const mostPrefixes = 10;

type NamedField = { name: string; field: Field };
/** `+` must hold, `-` must not; `not` is either that or an alternative, which its neighbours decide. */
type Mark = '+' | '-' | 'not' | undefined;
type Clause = { mark: Mark; filter: Filter };

/** Where the parser is, and what it has counted. */
interface Reading {
  readonly text: string;
  token: Token;
  /** The word or sign before `token`, for messages. */
  behind: string;
  clauses: number;
  wildcards: number;
  depth: number;
}

const idField: NamedField = { name: 'id', field: { kind: 'exact', field: 'id' } };

/**
 * Reads a filter of conversations in the classic query syntax of Lucene; blank text matches everything.
 *
 * Unlike Lucene's, AND binds tighter than OR, and a filter of nothing but negations matches what none of them matches.
 * At most 4,000 characters, 64 clauses, 10 levels of parentheses, 10 prefixes in a row and 8 wildcards.
 *
 * @throws FilterFault the text does not parse; the message names the column and what was expected there.
 * @see `filter-fields.ts` for the fields
 */
export function parseLucene(text: string): Filter {
  if (text.length > longestQuery) throw new FilterFault(longestQuery, `expected at most ${longestQuery} characters`);
  refuseUnstorable(text);
  const token = tokenAt(text, 0);
  if (token.kind === 'end') return everything;
  const reading: Reading = { text, token, behind: '', clauses: 0, wildcards: 0, depth: 0 };
  const filter = sequence(reading, idField);
  if (reading.token.kind === 'end') return filter;
  throw new FilterFault(reading.token.at, 'expected a "(" somewhere in front of this ")"');
}

function refuseUnstorable(text: string): void {
  const places = [text.indexOf('\0'), text.search(/\p{Cs}/u)].filter((at) => at >= 0);
  if (places.length > 0) throw new FilterFault(Math.min(...places), 'expected no NUL and no half of a surrogate pair');
}

function advance(reading: Reading): void {
  const { text, token } = reading;
  reading.behind = text.slice(token.at, token.end);
  reading.token = tokenAt(text, token.end);
}

/** Clauses up to a closing parenthesis or the end. */
function sequence(reading: Reading, field: NamedField): Filter {
  const clauses: Clause[] = [];
  let isBehindOr = false;
  do {
    const clause = conjunction(reading, field);
    const isBeforeOr = reading.token.kind === 'or';
    if (clause.mark !== 'not') clauses.push(clause);
    else if (isBehindOr || isBeforeOr) clauses.push({ mark: undefined, filter: plain(clause) });
    else clauses.push({ ...clause, mark: '-' });
    if (isBeforeOr) advance(reading);
    isBehindOr = isBeforeOr;
  } while (isBehindOr || (reading.token.kind !== 'end' && reading.token.kind !== ')'));
  return joined(clauses);
}

function joined(clauses: Clause[]): Filter {
  const marked = (mark: Mark): Filter[] => clauses.filter((one) => one.mark === mark).map(({ filter }) => filter);
  const must = marked('+');
  const may = marked(undefined);
  if (must.length === 0 && may.length > 0) must.push(combined('any', may));
  return combined('all', [...must, ...marked('-').map((of): Filter => ({ kind: 'not', of }))]);
}

/** One clause with its mark, or several joined by AND, which are one without a mark. */
function conjunction(reading: Reading, field: NamedField): Clause {
  const first = clause(reading, field);
  if (reading.token.kind !== 'and') return first;
  const all = [plain(first)];
  while (reading.token.kind === 'and') {
    advance(reading);
    all.push(plain(clause(reading, field)));
  }
  return { mark: undefined, filter: combined('all', all) };
}

function plain({ mark, filter }: Clause): Filter {
  return mark === '-' || mark === 'not' ? { kind: 'not', of: filter } : filter;
}

function combined(kind: 'all' | 'any', of: Filter[]): Filter {
  return of.length === 1 ? of[0]! : { kind, of };
}

function clause(reading: Reading, field: NamedField): Clause {
  const marks: Exclude<Mark, undefined>[] = [];
  for (;;) {
    const { kind, at } = reading.token;
    if (kind !== '+' && kind !== '-' && kind !== 'not') break;
    if (marks.length === mostPrefixes) throw new FilterFault(at, `expected at most ${mostPrefixes} prefixes in a row`);
    marks.push(kind);
    advance(reading);
  }
  const [outer, ...inner] = marks;
  // Of several prefixes the first is the mark; the others say what it stands before, as if in parentheses.
  const filter = inner.reduceRight((of, mark) => plain({ mark, filter: of }), operand(reading, field));
  return { mark: outer, filter };
}

function operand(reading: Reading, field: NamedField): Filter {
  const { token, text } = reading;
  switch (token.kind) {
    case '(':
      return group(reading, field);
    case 'term':
      return isBefore(':', text, token.end) ? fieldClause(reading, token) : question(reading, field, token);
    case 'phrase':
    case 'range':
      return question(reading, field, token);
    default:
      throw noClause(reading);
  }
}

function noClause({ text, token, behind }: Reading): FilterFault {
  const sign = text.slice(token.at, token.end);
  switch (token.kind) {
    case ':':
      return new FilterFault(
        token.at,
        'expected a field in front of ":"; a ":" of a value is written "\\:" or in quotes',
      );
    case '~':
    case '^':
      return new FilterFault(token.at, `expected a value in front of "${token.kind}", and each suffix only once`);
    case ')':
      if (behind === '(') return new FilterFault(token.at, 'expected a clause between "(" and ")"');
  }
  const not = sign === '' ? '' : `, got "${sign}"`;
  return new FilterFault(token.at, `expected a clause${behind === '' ? '' : ` behind ${shown(behind)}`}${not}`);
}

function group(reading: Reading, field: NamedField): Filter {
  const { at } = reading.token;
  if (reading.depth === deepest) throw new FilterFault(at, `expected at most ${deepest} parentheses within each other`);
  reading.depth++;
  advance(reading);
  const filter = sequence(reading, field);
  if (reading.token.kind !== ')') throw new FilterFault(at, 'expected a closing ")" for this "("');
  reading.depth--;
  advance(reading);
  const fuzzy = suffixes(reading);
  if (fuzzy) throw new FilterFault(fuzzy.at, 'expected "~" behind a single word, not behind ")"');
  return filter;
}

/** A field with what stands behind its colon. */
function fieldClause(reading: Reading, name: Term): Filter {
  const { text } = reading;
  const written = text.slice(name.at, name.end);
  const field = written === '*' ? undefined : fieldOf(text, name, written);
  advance(reading);
  advance(reading);
  const { token } = reading;
  if (field === undefined) return anything(reading);
  if (token.kind === '(') return group(reading, field);
  if (token.kind === 'term' || token.kind === 'phrase' || token.kind === 'range') {
    return question(reading, field, token);
  }
  const how = token.kind === '+' || token.kind === '-' || token.kind === 'not' ? '; one such as this in quotes' : '';
  throw new FilterFault(token.at, `expected a value behind ${shown(`${written}:`)}${how}`);
}

function fieldOf(text: string, token: Term, written: string): NamedField {
  if (written === '_exists_') {
    throw new FilterFault(token.at, 'expected a field, "_exists_" is none; write "field:*" for "has a value"');
  }
  const keys = keysOf(text, token);
  const empty = keys.slice(1).find(({ key }) => key === '');
  if (empty && keys[0]!.key === 'metadata') throw new FilterFault(empty.at, 'expected a key behind "."');
  const field = token.wildcards.length > 0 ? undefined : fieldNamed(keys.map(({ key }) => key));
  if (field) return { name: written, field };
  throw new FilterFault(token.at, `unknown field ${shown(written)}, expected one of: ${allowedFields}`);
}

/** The value of `*:`, which can only be `*`. */
function anything(reading: Reading): Filter {
  const { token } = reading;
  if (token.kind !== 'term' || reading.text.slice(token.at, token.end) !== '*') {
    throw new FilterFault(token.at, 'expected "*" behind "*:"');
  }
  return question(reading, idField, token);
}

function question(reading: Reading, { name, field }: NamedField, value: Value): Filter {
  reading.clauses++;
  if (reading.clauses > mostClauses) throw new FilterFault(value.at, `expected at most ${mostClauses} clauses`);
  if (value.kind === 'term') countWildcards(reading, value);
  advance(reading);
  // Told first: of an instant without quotes only the part before its first colon would seem wrong.
  if (reading.token.kind === ':') throw noClause(reading);
  return leafOf({ name, field, value, fuzzy: suffixes(reading) });
}

function countWildcards(reading: Reading, { at, end, wildcards }: Term): void {
  // A value of `*` alone asks only whether there is one.
  if (reading.text.slice(at, end) === '*') return;
  const tooMany = wildcards[mostWildcards - reading.wildcards];
  if (tooMany !== undefined) throw new FilterFault(tooMany, `expected at most ${mostWildcards} wildcards`);
  reading.wildcards += wildcards.length;
}

/** Reads at most one `~` and one boost, which means nothing here: a list has its own order. */
function suffixes(reading: Reading): Fuzzy | undefined {
  let fuzzy: Fuzzy | undefined;
  let isBoosted = false;
  for (;;) {
    const { token } = reading;
    if (token.kind === '^' && !isBoosted) {
      if (!/^\d+(\.\d+)?$/.test(token.value)) throw new FilterFault(token.at + 1, 'expected a number behind "^"');
      isBoosted = true;
    } else if (token.kind === '~' && !fuzzy) {
      if (!/^[12]?$/.test(token.value)) throw new FilterFault(token.at + 1, 'expected 1 or 2 behind "~"');
      fuzzy = { at: token.at, distance: token.value === '1' ? 1 : 2 };
    } else return fuzzy;
    advance(reading);
  }
}

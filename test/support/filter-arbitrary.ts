import fc, { type Arbitrary } from 'fast-check';
import type {
  ExactField,
  Filter,
  Leaf,
  NumberField,
  Pattern,
  WordsField,
} from '../../src/domain/messaging/conversations/filter-tree.ts';
import { wordsOf } from '../../src/domain/messaging/conversations/filter-words.ts';

/**
 * What filters ask for: a few values of each, those of the conversations and some that none has. None may be empty.
 * `metadataPaths`: without paths that mean a field of their own, such as `state`, and without empty keys.
 */
export interface FilterValues {
  ids: string[];
  channelIds: string[];
  sources: string[];
  tagIds: string[];
  assigneeIds: string[];
  words: string[];
  metadataPaths: string[][];
  instants: number[];
  counts: number[];
}

/** Random trees such as the parser makes, at most `depth` nodes above a leaf and three wildcards in a pattern. */
export function filterArbitrary(values: FilterValues, depth = 3): Arbitrary<Filter> {
  const leaf = leafArbitrary(values);
  const { filter } = fc.letrec<{ filter: Filter }>((tie) => {
    const of = fc.array(tie('filter'), { maxLength: 4 });
    return {
      filter: fc.oneof(
        { maxDepth: depth, withCrossShrink: true },
        { weight: 4, arbitrary: leaf },
        { weight: 2, arbitrary: fc.record({ kind: fc.constant('all' as const), of }) },
        { weight: 2, arbitrary: fc.record({ kind: fc.constant('any' as const), of }) },
        { weight: 1, arbitrary: fc.record({ kind: fc.constant('not' as const), of: tie('filter') }) },
      ),
    };
  });
  return filter;
}

function leafArbitrary(values: FilterValues): Arbitrary<Leaf> {
  const exact: Record<Exclude<ExactField, 'state'>, string[]> = {
    id: values.ids,
    channel_id: values.channelIds,
    source: values.sources,
    tag_ids: values.tagIds,
    assignee_id: values.assigneeIds,
  };
  const numbers: Record<NumberField, number[]> = {
    created_at: values.instants,
    last_message_at: values.instants,
    unread_count: values.counts,
  };
  return fc.oneof(
    ...Object.entries(exact).map(([field, known]) => exactLeaf(field as ExactField, known)),
    fc.constantFrom('OPEN', 'SNOOZED', 'CLOSED').map((value): Leaf => ({ kind: 'is', field: 'state', value })),
    ...Object.entries(numbers).map(([field, known]) => numberLeaf(field as NumberField, known)),
    // Words have the most ways to differ: asked for as often as all else.
    { weight: 5, arbitrary: wordsLeaf(fc.constant({ kind: 'display_name' }), values.words) },
    {
      weight: 5,
      arbitrary: wordsLeaf(
        fc.constantFrom(...values.metadataPaths).map((path): WordsField => ({ kind: 'metadata', path })),
        values.words,
      ),
    },
    fc
      .constantFrom<ExactField | NumberField>('tag_ids', 'assignee_id', 'state', 'channel_id', 'created_at')
      .map((field): Leaf => ({ kind: 'has', field })),
  );
}

function exactLeaf(field: ExactField, known: string[]): Arbitrary<Leaf> {
  const value = fc.constantFrom(...known);
  return fc.oneof(
    value.map((one): Leaf => ({ kind: 'is', field, value: one })),
    patternOf(value).map((pattern): Leaf => ({ kind: 'matches', field, pattern })),
  );
}

function numberLeaf(field: NumberField, known: number[]): Arbitrary<Leaf> {
  const near = fc
    .tuple(fc.constantFrom(...known), fc.constantFrom(-1, 0, 0, 1))
    .map(([number, by]): number => number + by);
  const from = fc.oneof(near, fc.constant(Number.NEGATIVE_INFINITY));
  const to = fc.oneof(near, fc.constant(Number.POSITIVE_INFINITY));
  return fc.oneof(
    near.map((one): Leaf => ({ kind: 'between', field, from: one, to: one })),
    fc.tuple(from, to).map(([one, other]): Leaf => ({ kind: 'between', field, from: one, to: other })),
  );
}

function wordsLeaf(field: Arbitrary<WordsField>, known: string[]): Arbitrary<Leaf> {
  const word = fc.constantFrom(...known);
  const phrase = fc.array(word, { minLength: 1, maxLength: 3 }).map((words) => words.join(' '));
  return fc.oneof(
    fc
      .tuple(field, phrase)
      .map(([one, text]) => ({ kind: 'words' as const, field: one, words: wordsOf(text) }))
      .filter(({ words }) => words.length > 0),
    // A pattern of only `*` is no `like`: the parser makes a `has` of it.
    fc
      .tuple(field, patternOf(phrase))
      .filter(([, pattern]) => pattern.some((one) => one !== '*'))
      .map(([one, pattern]): Leaf => ({ kind: 'like', field: one, pattern: normalised(pattern) })),
    fc
      .tuple(field, misspelt(word), fc.constantFrom<1 | 2>(1, 2))
      .filter(([, text]) => wordsOf(text).length === 1)
      .map(([one, text, distance]): Leaf => ({ kind: 'near', field: one, word: wordsOf(text)[0]!, distance })),
    field.map((one): Leaf => ({ kind: 'has', field: one })),
  );
}

function normalised(pattern: Pattern): Pattern {
  return pattern.map((one) => (typeof one === 'string' ? one : { text: one.text.normalize('NFKC') }));
}

/** Values with up to three parts replaced by wildcards, so that many still match. */
function patternOf(value: Arbitrary<string>): Arbitrary<Pattern> {
  const cut = fc.record({ at: fc.nat(40), length: fc.nat(4), sign: fc.constantFrom<'*' | '?'>('*', '*', '?') });
  return fc.tuple(value, fc.array(cut, { minLength: 1, maxLength: 3 })).map(([text, cuts]) => {
    const signs: Pattern[number][] = [...text].map((sign) => ({ text: sign }));
    for (const { at, length, sign } of cuts) {
      signs.splice(at % (signs.length + 1), sign === '?' ? 1 : length, sign);
    }
    return joined(signs);
  });
}

function joined(signs: Pattern): Pattern {
  const pattern: ({ text: string } | '*' | '?')[] = [];
  for (const sign of signs) {
    const last = pattern.at(-1);
    if (typeof sign === 'object' && typeof last === 'object') last.text += sign.text;
    else if (sign !== '*' || last !== '*') pattern.push(typeof sign === 'object' ? { ...sign } : sign);
  }
  return pattern;
}

/** Words with up to three edits: the distance of some is just too far. */
function misspelt(word: Arbitrary<string>): Arbitrary<string> {
  const edit = fc.record({ at: fc.nat(20), how: fc.constantFrom('insert', 'delete', 'replace', 'swap') });
  return fc.tuple(word, fc.array(edit, { maxLength: 3 })).map(([text, edits]) => {
    const signs = [...text];
    for (const { at, how } of edits) {
      const index = at % (signs.length + 1);
      if (how === 'insert') signs.splice(index, 0, 'x');
      else if (how === 'delete') signs.splice(index, 1);
      else if (how === 'replace') signs.splice(index, 1, 'e');
      else signs.splice(index, 2, ...signs.slice(index, index + 2).reverse());
    }
    return signs.join('');
  });
}

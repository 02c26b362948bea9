import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { type Filter, leavesOf } from '../../src/domain/messaging/conversations/filter-tree.ts';
import { parseLucene } from '../../src/domain/messaging/conversations/lucene.ts';
import { filterArbitrary } from '../support/filter-arbitrary.ts';
import { evaluate, type FilteredConversation } from '../support/filter-evaluator.ts';
import { print } from '../support/filter-printer.ts';

function wildcardsIn(filter: Filter): number {
  const signs = leavesOf(filter).flatMap((leaf) => ('pattern' in leaf ? leaf.pattern : []));
  return signs.filter((sign) => typeof sign === 'string').length;
}

describe('filters of conversations: a printed tree', () => {
  const values = {
    ids: ['i1', 'i2', 'AND'],
    channelIds: ['c-1', 'c 2'],
    sources: ['facebook', 'Face"\\book'],
    tagIds: ['t1', 't2', 't:3'],
    assigneeIds: ['u1', 'u2'],
    words: ['Ada', 'Lovelace', 'grace', 'Gr\u00e4ce', 'to', '42', 'NOT', 'true'],
    metadataPaths: [['a'], ['a', 'b'], ['x.y', '__proto__'], ['list']],
    instants: [0, 1_577_836_800_000, -5],
    counts: [0, 1, 2],
  };
  const text = fc.array(fc.constantFrom(...values.words), { maxLength: 3 }).map((some) => some.join(' '));
  const value = fc.oneof(
    text,
    fc.constantFrom(42, true, null, undefined, {}),
    fc.array(fc.oneof(text, fc.constant(42))),
  );
  const conversation: fc.Arbitrary<FilteredConversation> = fc.record({
    id: fc.constantFrom(...values.ids),
    channelId: fc.constantFrom(...values.channelIds),
    source: fc.constantFrom(...values.sources),
    displayName: text,
    createdAt: fc.constantFrom(...values.instants),
    lastMessageAt: fc.constantFrom(...values.instants),
    unreadCount: fc.constantFrom(...values.counts),
    tagIds: fc.subarray(values.tagIds),
    state: fc.constantFrom('OPEN', 'SNOOZED', 'CLOSED'),
    assigneeId: fc.constantFrom(null, ...values.assigneeIds),
    metadata: fc.record({
      a: fc.oneof(value, fc.record({ b: value })),
      'x.y': value.map((of) => JSON.parse(`{"__proto__":${JSON.stringify(of) ?? null}}`) as object),
      list: value,
    }),
  });

  it('parses to one that says the same', () => {
    let [hits, filters] = [0, 0];
    fc.assert(
      fc.property(filterArbitrary(values), fc.array(conversation, { minLength: 5, maxLength: 5 }), (filter, some) => {
        const printed = print(filter);
        // Beyond the limits it is refused, which is tested above.
        fc.pre(leavesOf(filter).length <= 60 && wildcardsIn(filter) <= 8);
        const parsed = parseLucene(printed);
        for (const one of some) expect([printed, evaluate(parsed, one)]).toEqual([printed, evaluate(filter, one)]);
        filters++;
        hits += some.filter((one) => evaluate(filter, one)).length;
      }),
      { numRuns: 1_000 },
    );
    // A filter that hardly ever matches, or always, would prove nothing.
    expect(hits / filters / 5).toBeGreaterThan(0.2);
    expect(hits / filters / 5).toBeLessThan(0.8);
  });
});

describe('the evaluator that later tests believe', () => {
  const ada: FilteredConversation = {
    ...{ id: 'i', channelId: 'c', source: 's', displayName: 'Dr. Ada Lovelace', createdAt: 5, lastMessageAt: 6 },
    ...{ unreadCount: 2, tagIds: ['t1', 't2'], state: 'OPEN', assigneeId: null },
    metadata: { n: 1.5, yes: true, none: null, list: ['Grace Hopper', 7, ['deep']], of: { a: 'b' } },
  };

  it.each<[string, boolean]>([
    ['display_name:*Lovelace', true],
    ['display_name:Love*', true],
    ['display_name:ove*', false],
    ['display_name:A*e', true],
    ['display_name:dr?ada', true],
    ['display_name:dr\\.\\ ad*', true],
    ['display_name:"lovelace ada"', false],
    ['display_name:"ada love"', false],
    ['display_name:"DR ADA"', true],
    ['display_name:Lovleace~1', true],
    ['display_name:Lovlaec~1', false],
    ['display_name:Lovlaec~2', true],
    ['tag_ids:(t1 AND t2)', true],
    ['tag_ids:?1', true],
    ['tag_ids:1', false],
    ['assignee_id:*', false],
    ['metadata.n:1.5', true],
    ['metadata.yes:TRUE', true],
    ['metadata.none:*', false],
    ['metadata.list:(hopper AND 7)', true],
    ['metadata.list:deep', false],
    ['metadata.list.0:*', false],
    ['metadata.of:*', true],
    ['metadata.of:b', false],
    ['metadata.toString:*', false],
    ['unread_count:{1 TO 2]', true],
    ['created_at:{5 TO *]', false],
  ])('%s: %p', (text, expected) => {
    expect(evaluate(parseLucene(text), ada)).toBe(expected);
  });
});

import { describe, expect, it } from '@jest/globals';
import { buildSchema, type ExecutionResult, parse } from 'graphql';
import { isCompilable } from '../../src/graphql/compilable.ts';
import type { GraphCtx } from '../../src/graphql/context.ts';
import { Documents } from '../../src/graphql/documents.ts';

const schema = buildSchema(`
  input Filter { name: String, and: [Filter!], not: Filter }
  input Search { words: String, ranges: [Range!] }
  input Range { from: Bound, to: Bound, in: Filter }
  input Pair { left: Bound, right: Bound }
  input Bound { value: Int, unit: Unit }
  input Unit { name: String }
  type Query { find(filter: Filter, search: Search, pair: Pair): String }
`);
schema.getQueryType()!.getFields().find!.resolve = (_root: unknown, args: unknown) => JSON.stringify(args);

describe('a document whose variables', () => {
  it.each<[string, boolean]>([
    ['query ($v: Filter) { find(filter: $v) }', false],
    ['query ($v: [Filter!]!) { __typename }', false],
    ['query ($v: Search) { find(search: $v) }', false],
    ['query ($v: Pair) { find(pair: $v) }', true],
    ['query ($v: String) { __typename }', true],
    ['query ($v: Nothing) { __typename }', true],
  ])('would be written out without end is interpreted: %s', (query, compiles) => {
    expect(isCompilable(schema, parse(query))).toBe(compiles);
  });

  it('contain themselves answers the same however often it is used', async () => {
    const documents = new Documents(schema);
    const filter = { name: 'a', and: [{ not: { name: 'b' } }, { and: [] }] };
    for (let use = 1; use <= 3; use += 1) {
      const run = documents.runOf(documents.prepare('query ($v: Filter) { find(filter: $v) }'), undefined);
      const { data, errors } = (await run(undefined, {} as GraphCtx, { v: filter })) as ExecutionResult;
      expect(errors).toBeUndefined();
      expect(JSON.parse(String(data?.find))).toEqual({ filter });
    }
  });
});

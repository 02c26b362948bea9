import { describe, expect, it } from '@jest/globals';
import { buildSchema, type ExecutionResult, execute, parse } from 'graphql';
import type { GraphCtx } from '../../src/graphql/context.ts';
import { compileStored } from '../../src/graphql/documents.ts';

const schema = buildSchema(`
  input Item { id: ID!, count: Int! = 3, colour: Colour! = RED, tags: [String!]! = ["a"], note: String = "none" }
  input Batch { items: [Item!]! = [], first: Item }
  enum Colour { RED, BLUE }
  type Query { echo(batch: Batch, item: Item, items: [[Item!]], count: Int! = 5): String }
`);
for (const field of Object.values(schema.getQueryType()!.getFields())) {
  field.resolve = (_root: unknown, args: unknown) => JSON.stringify(args);
}

const echoOf = ({ data }: ExecutionResult): unknown => JSON.parse(String(data?.echo));

describe('defaults of non-null inputs', () => {
  it.each<[string, Record<string, unknown>]>([
    ['query ($batch: Batch) { echo(batch: $batch) }', {}],
    ['query ($batch: Batch) { echo(batch: $batch) }', { batch: null }],
    ['query ($batch: Batch) { echo(batch: $batch) }', { batch: {} }],
    [
      'query ($batch: Batch) { echo(batch: $batch) }',
      { batch: { items: [{ id: '1' }, { id: '2', count: 1, tags: [] }] } },
    ],
    ['query ($batch: Batch) { echo(batch: $batch) }', { batch: { first: { id: '1' } } }],
    ['query ($batch: Batch) { echo(batch: $batch) }', { batch: { items: { id: '1' } } }],
    ['query ($item: Item) { echo(item: $item) }', { item: { id: '1', colour: 'BLUE' } }],
    ['query ($items: [[Item!]]) { echo(items: $items) }', { items: [[{ id: '1' }], null] }],
    ['query ($count: Int! = 7) { echo(count: $count) }', {}],
    ['query ($count: Int! = 7) { echo(count: $count) }', { count: 8 }],
    ['query ($count: Int) { echo(count: $count) }', {}],
    ['query ($item: Item, $count: Int! = 2) { echo(item: $item, count: $count) }', { item: { id: '2' } }],
  ])('are the same in a compiled document: %s with %j', async (query, variables) => {
    const before = structuredClone(variables);
    const document = parse(query);
    const told = await execute({ schema, document, variableValues: variables });
    const compiled = await compileStored(schema, document)(undefined, {} as GraphCtx, variables);
    expect(told.errors).toBeUndefined();
    expect(compiled.errors).toBeUndefined();
    expect(echoOf(compiled)).toEqual(echoOf(told));
    expect(variables).toEqual(before);
  });

  it.each<[string, Record<string, unknown>]>([
    ['query ($item: Item) { echo(item: $item) }', { item: { id: '1', count: null } }],
    ['query ($item: Item) { echo(item: $item) }', { item: {} }],
    ['query ($item: Item) { echo(item: $item) }', { item: 'x' }],
    ['query ($count: Int! = 7) { echo(count: $count) }', { count: null }],
    ['query ($batch: Batch) { echo(batch: $batch) }', { batch: { items: [null] } }],
  ])('do not stand in for what is wrong: %s with %j', async (query, variables) => {
    const { errors } = await compileStored(schema, parse(query))(undefined, {} as GraphCtx, variables);
    expect(errors).not.toHaveLength(0);
  });
});

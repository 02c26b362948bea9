import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { type Metadata, mergeMetadata } from '../../src/domain/messaging/metadata/metadata.service.ts';

type Path = string[];

/**
 * The rules of the merge the slow way: metadata as a list of paths with their leaves. A leaf is a scalar, a list or an
 * empty object; an object that has no leaf below it does not exist.
 */
class PathList {
  leaves: [Path, unknown][] = [];

  apply(patch: object, at: Path = []): void {
    for (const [dotted, value] of Object.entries(patch)) this.put([...at, ...dotted.split('.')], value);
  }

  private put(path: Path, value: unknown): void {
    const isObject = typeof value === 'object' && value !== null && !Array.isArray(value);
    if (isObject && Object.keys(value).length > 0) {
      this.apply(value, path);
      return;
    }
    if (isObject && this.leaves.some(([other]) => other.length > path.length && isWithin(other, path))) return;
    const above = (other: Path) => other.length < path.length && isWithin(path, other);
    this.leaves = this.leaves.filter(
      ([other, leaf]) => !isWithin(other, path) && !(above(other) && (value !== null || isEmptyObject(leaf))),
    );
    if (value !== null) this.leaves.push([path, value]);
  }
}

const isWithin = (path: Path, root: Path) => root.every((key, index) => path[index] === key);
const isEmptyObject = (value: unknown) => typeof value === 'object' && value !== null && !Array.isArray(value);

function leavesOf(value: unknown, at: Path = []): [Path, unknown][] {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return [[at, value]];
  const entries = Object.entries(value);
  if (entries.length === 0 && at.length > 0) return [[at, {}]];
  return entries.flatMap(([key, inner]) => leavesOf(inner, [...at, key]));
}

const sorted = (leaves: [Path, unknown][]) => leaves.map((leaf) => JSON.stringify(leaf)).sort();

const key = fc.constantFrom(
  'a',
  'b',
  'c',
  '',
  '__proto__',
  'constructor',
  'a.b',
  'b.c.a',
  'a.__proto__',
  '.',
  'toString.b',
);
const leaf = fc.constantFrom<unknown>(null, 1, 'text', true, [], [null], [{ a: 1 }]);
const { patch: anyPatch } = fc.letrec<{ value: unknown; patch: object }>((tie) => ({
  value: fc.oneof({ depthSize: 'small' }, leaf, tie('patch')),
  patch: fc.array(fc.tuple(key, tie('value')), { maxLength: 4 }).map((entries) => Object.fromEntries(entries)),
}));

// A patch that sets and removes below one key at once says nothing: what it means is not promised.
const patch = anyPatch.filter((one) => {
  const leaves = leavesOf(one).map(([path, value]) => [path.flatMap((each) => each.split('.')), value] as const);
  return leaves.every(
    ([removed, value], index) =>
      value !== null ||
      leaves.every(([path], other) => other === index || !(isWithin(path, removed) || isWithin(removed, path))),
  );
});

describe('the merge of metadata', () => {
  it('gives what a naive list of paths gives, patch after patch', () => {
    fc.assert(
      fc.property(fc.array(patch, { minLength: 1, maxLength: 5 }), (patches) => {
        const model = new PathList();
        let merged: Metadata = {};
        for (const one of patches) {
          model.apply(one);
          merged = mergeMetadata(merged, one as Metadata);
          expect(sorted(leavesOf(merged))).toEqual(sorted(model.leaves));
        }
        expect(({} as Metadata).a).toBeUndefined();
      }),
      { numRuns: 3_000 },
    );
  });

  it.each<[string, string, string, string]>([
    ['replaces', '{"a":1}', '{"a":2}', '{"a":2}'],
    ['merges nested objects', '{"a":{"b":1}}', '{"a":{"c":2}}', '{"a":{"b":1,"c":2}}'],
    ['nests at dots', '{"a":{"b":1}}', '{"a.c":2}', '{"a":{"b":1,"c":2}}'],
    ['nests at dots inside', '{}', '{"a":{"b.c":1}}', '{"a":{"b":{"c":1}}}'],
    ['removes by null', '{"a":1,"b":2}', '{"a":null}', '{"b":2}'],
    ['removes a subtree with its last key', '{"a":{"b":{"c":1}}}', '{"a.b.c":null}', '{}'],
    ['leaves a scalar whose child is removed', '{"a":1}', '{"a.b":null}', '{"a":1}'],
    ['puts a scalar over a subtree', '{"a":{"b":1}}', '{"a":2}', '{"a":2}'],
    ['puts a subtree over a scalar', '{"a":1}', '{"a.b":2}', '{"a":{"b":2}}'],
    ['replaces lists as a whole', '{"a":[1,{"b":1}]}', '{"a":[2,null]}', '{"a":[2,null]}'],
    ['keeps __proto__ as a key like another', '{}', '{"__proto__":{"admin":true}}', '{"__proto__":{"admin":true}}'],
  ])('%s', (_what, before, change, after) => {
    expect(JSON.stringify(mergeMetadata(JSON.parse(before), JSON.parse(change)))).toBe(after);
  });

  it('refuses keys of more than 33 parts, and changes neither of its arguments', () => {
    const before = Object.freeze({ a: Object.freeze({ b: 1 }) });
    expect(() => mergeMetadata(before, { [Array(34).fill('a').join('.')]: 1 })).toThrow('at most 32 levels');
    expect(mergeMetadata(before, Object.freeze({ 'a.b': 2 }))).toMatchObject({ a: { b: 2 } });
    expect(before.a.b).toBe(1);
  });
});

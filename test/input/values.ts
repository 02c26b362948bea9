import fc from 'fast-check';
import { anyUuid } from '../support/rest-rows.ts';

/** A number that JSON can say and a double cannot hold. */
const beyondDouble = (JSON as unknown as { rawJSON(text: string): unknown }).rawJSON('1e400');
const nested = (depth: number, wrap: (inner: unknown) => unknown): unknown => {
  let value: unknown = 1;
  for (let level = 0; level < depth; level += 1) value = wrap(value);
  return value;
};

/** R1 of the bad-input plan: what is wrong for most fields. */
export const wrong: unknown[] = [
  null,
  true,
  0,
  -1,
  1.5,
  '',
  [],
  {},
  { $ne: null },
  'x'.repeat(20_000),
  1e300,
  2 ** 31,
  [[]],
  [null],
  { constructor: { prototype: { x: 1 } } },
];

/** R6, R7 and numbers beyond a double: no field takes them, as no body may hold them. */
export const unreadable: unknown[] = [
  beyondDouble,
  [beyondDouble],
  'x\0',
  { '\0': 1 },
  '\ud800',
  ['x\udc00x'],
  { '\udc00\ud800': 1 },
  nested(100, (inner) => [inner]),
  nested(1_000, (inner) => ({ a: inner })),
];

/** What only looks like a value, or is one that somebody might not have thought of. */
export const odd: unknown[] = [
  false,
  2 ** 53,
  -(2 ** 31) - 1,
  8.64e15 + 1,
  -62_198_755_200_001,
  ' ',
  '0',
  '-1',
  '1e5',
  'null',
  'true',
  ['x'],
  { length: 1 },
  { __typename: 'Query' },
  JSON.parse('{"__proto__":{"polluted":1},"toString":1}'),
  "' or 1=1 --",
  '\\',
  "\\'",
  '%',
  '_',
  '#{x}',
  '{{x}}',
  '<script>',
  '../../etc/passwd',
  'x'.repeat(513),
  '\u202e',
  '\ufeff',
  '😀'.repeat(300),
  'toString',
  '__proto__',
  `{${anyUuid}}`,
  anyUuid.toUpperCase(),
  anyUuid.replaceAll('-', ''),
  `${anyUuid}\n`,
  '2024-02-30T00:00:00Z',
  '9999-12-31T23:59:59Z',
  '+275760-09-13T00:00:00.001Z',
  '0000-01-01T00:00:00Z',
  'http://[::1]:5432/',
  'javascript:alert(1)',
  Buffer.from('User:x').toString('base64url'),
  Buffer.from('["conversations",1e999,{}]').toString('base64url'),
  Array(200).fill('x'),
  nested(60, (inner) => [inner]),
];

const units = fc.array(fc.integer({ min: 0, max: 0xffff }), { maxLength: 40 });

/** Any of them, or what nobody wrote down. */
export const anyValue: fc.Arbitrary<unknown> = fc.oneof(
  fc.constantFrom(...wrong, ...odd, ...unreadable),
  fc.jsonValue({ maxDepth: 4 }),
  fc.jsonValue({ maxDepth: 2, noUnicodeString: false }),
  units.map((codes) => String.fromCharCode(...codes)),
  fc.string({ unit: 'grapheme', maxLength: 600 }),
  fc.tuple(fc.string({ minLength: 1, maxLength: 5 }), fc.nat(8_000)).map(([text, times]) => text.repeat(times)),
  fc.double({ noNaN: true, noDefaultInfinity: true }),
  fc.maxSafeInteger(),
  fc.date({ noInvalidDate: true, min: new Date(-8.64e15), max: new Date(8.64e15) }).map((date) => date.toISOString()),
  fc.uuid().map((uuid) => uuid.toUpperCase()),
  fc.base64String({ maxLength: 80 }),
  fc.webUrl(),
  fc.dictionary(fc.constantFrom('__proto__', 'constructor', 'toString', '$ne', 'a', ''), fc.jsonValue(), {
    maxKeys: 4,
  }),
);

/** Whether a value can stand in a body at all. */
export function isReadable(value: unknown, depth = 0): boolean {
  if (value === beyondDouble || depth > 60) return false;
  if (typeof value === 'string') return !value.includes('\0') && value.isWellFormed();
  if (typeof value !== 'object' || value === null) return true;
  return Object.entries(value).every(([key, inner]) => isReadable(key) && isReadable(inner, depth + 1));
}

/** `count` of the values, others for each turn: together the turns take all of them. */
export function someOf<Value>(values: readonly Value[], turn: number, count: number): Value[] {
  return Array.from({ length: count }, (_, index) => values[(turn * count + index) % values.length]!);
}

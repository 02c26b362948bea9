import fc from 'fast-check';
import type { Script, TemplatePlace } from '../../src/domain/automation/expressions/script.ts';

/** Own names, names that lead to a prototype, and the ones that `watchPrototypes` waits at. */
const names = [
  ...['contact', 'name', 'tags', 'age', 'nested', 'event', 'x', 'y', 'length', 'size', 'first', 'last'],
  ...['constructor', '__proto__', 'prototype', 'toString', 'hasOwnProperty', 'this', 'process', '_jsonata_lambda'],
  ...['canary', 'implementation', 'environment', 'sequence', 'outerWrapper'],
];
const name = fc.constantFrom(...names);
const functions = [
  ...['abs', 'append', 'average', 'base64encode', 'boolean', 'ceil', 'clone', 'contains', 'count', 'distinct', 'each'],
  ...['encodeUrl', 'eval', 'exists', 'filter', 'floor', 'formatBase', 'formatInteger', 'formatNumber', 'fromMillis'],
  ...['join', 'keys', 'length', 'lookup', 'lowercase', 'map', 'match', 'max', 'merge', 'not', 'now', 'number', 'pad'],
  ...['parseInteger', 'power', 'reduce', 'replace', 'reverse', 'round', 'shuffle', 'sift', 'single', 'sort', 'split'],
  ...['spread', 'sqrt', 'string', 'substring', 'substringAfter', 'sum', 'toMillis', 'trim', 'type', 'uppercase', 'zip'],
];
const text = fc.oneof(name, fc.string({ maxLength: 6 })).map((it) => JSON.stringify(it));
const number = fc.oneof(fc.integer({ min: -9, max: 99 }), fc.constantFrom(0.5, 1e3, 1e300)).map(String);
const pattern = fc.constantFrom('/a+/', '/(a|b)*c/i', '/[^x]/', '/(a+)+$/', '/^.?/', '/(a)\\1/', '/(/');

const { expression } = fc.letrec<{ expression: string; leaf: string }>((tie) => ({
  leaf: fc.oneof(
    name,
    name.map((it) => `\`${it}\``),
    fc.constantFrom('$', '$$', '*', '**', '%', '[]', '{}', 'null', 'true'),
    name.map((it) => `$${it}`),
    fc.constantFrom(...functions).map((it) => `$${it}`),
    text,
    number,
    pattern,
  ),
  expression: fc.oneof(
    { depthSize: 'small', withCrossShrink: true },
    tie('leaf'),
    fc.tuple(tie('expression'), name).map(([of, it]) => `${of}.${it}`),
    fc.tuple(tie('expression'), tie('expression')).map(([of, at]) => `${of}[${at}]`),
    fc
      .tuple(
        tie('expression'),
        fc.constantFrom(
          ...['+', '-', '*', '/', '%', '&', '=', '<', 'and', 'or', 'in', '~>', '.', '??', '?:', '..', '^'],
        ),
        tie('expression'),
      )
      .map(([left, operator, right]) => `(${left} ${operator} ${right})`),
    fc
      .tuple(fc.constantFrom(...functions), fc.array(tie('expression'), { maxLength: 3 }))
      .map(([called, given]) => `$${called}(${given.join(', ')})`),
    fc.tuple(tie('expression'), tie('expression')).map(([key, it]) => `{${key}: ${it}}`),
    fc.array(tie('expression'), { maxLength: 3 }).map((items) => `[${items.join(', ')}]`),
    tie('expression').map((body) => `function($x, $y) { ${body} }`),
    fc.tuple(name, tie('expression'), tie('expression')).map(([to, it, then]) => `($${to} := ${it}; ${then})`),
    fc.tuple(tie('expression'), tie('expression')).map(([of, change]) => `${of} ~> |$|${change}|`),
    fc.tuple(tie('expression'), tie('expression'), tie('expression')).map(([a, b, c]) => `(${a} ? ${b} : ${c})`),
  ),
}));

const path = fc
  .array(
    fc.oneof(
      name,
      text.map((it) => `[${it}]`),
      name.map((it) => `[${it}]`),
    ),
    { minLength: 1, maxLength: 4 },
  )
  .map((parts) => parts.join('.').replaceAll('.[', '['));
const liquidFilter = fc
  .tuple(
    fc.constantFrom(
      ...[
        'upcase',
        'append',
        'join',
        'json',
        'map',
        'where',
        'sort',
        'split',
        'first',
        'date',
        'default',
        'size',
        'raw',
      ],
      ...['where_exp', 'plus', 'times', 'slice', 'group_by', 'concat', 'replace', 'url_encode', 'strip_html', 'nope'],
    ),
    fc.array(fc.oneof(path, text, number), { maxLength: 2 }),
  )
  .map(([called, given]) => `| ${called}${given.length > 0 ? `: ${given.join(', ')}` : ''}`);
const output = fc
  .tuple(fc.oneof(path, text, number), fc.array(liquidFilter, { maxLength: 2 }))
  .map(([of, through]) => `{{ ${of} ${through.join(' ')} }}`);
const { template } = fc.letrec<{ template: string }>((tie) => ({
  template: fc.oneof(
    { depthSize: 'small' },
    output,
    fc.string({ maxLength: 8 }),
    fc.constantFrom(
      '{{',
      '}}',
      '{%',
      '{% endif %}',
      '{{#if x}}',
      '{% include "x" %}',
      '{% render x %}',
      '{%- liquid x -%}',
    ),
    fc.tuple(path, tie('template')).map(([when, then]) => `{% if ${when} %}${then}{% else %}x{% endif %}`),
    fc.tuple(name, path, tie('template')).map(([it, of, body]) => `{% for ${it} in ${of} %}${body}{% endfor %}`),
    fc.tuple(number, tie('template')).map(([to, body]) => `{% for x in (1..${to}) %}${body}{% endfor %}`),
    fc.tuple(name, path, tie('template')).map(([to, of, then]) => `{% assign ${to} = ${of} %}${then}`),
    fc.tuple(name, tie('template')).map(([to, body]) => `{% capture ${to} %}${body}{% endcapture %}{{ ${to} }}`),
    fc.array(tie('template'), { maxLength: 3 }).map((parts) => parts.join('')),
  ),
}));

const places: TemplatePlace[] = ['text', 'html', 'url', 'header', 'json'];

/** Programs that mostly parse, and reach for everything that must not be had. */
export const anyScript: fc.Arbitrary<Script> = fc.oneof(
  expression.map((source): Script => ({ kind: 'expression', source })),
  fc.string({ unit: 'binary', maxLength: 30 }).map((source): Script => ({ kind: 'expression', source })),
  fc.tuple(template, fc.constantFrom(...places)).map(([source, place]): Script => {
    if (place === 'url') return { kind: 'template', source: `https://example.com/${source}`, place };
    return { kind: 'template', source: place === 'json' ? { a: [source], canary: source } : source, place };
  }),
);

/** What such programs read: names that are there, and texts that would do harm if they were run. */
export const scriptBindings = JSON.stringify({
  contact: { name: 'Ada {{ canary }}', tags: ['a', 'b'], age: 36, nested: { x: 1 } },
  event: { x: '$canary', y: { _jsonata_lambda: true, body: { type: 'name', value: 'canary' } } },
  x: 'constructor',
});

/**
 * Puts a trap on every prototype that a value can have.
 *
 * @returns ends the watch and tells how often one was reached
 */
export function watchPrototypes(): () => number {
  let reached = 0;
  const prototypes = [Object, Array, String, Number, Boolean, Function, RegExp, Promise].map((made) => made.prototype);
  for (const prototype of prototypes) {
    Object.defineProperty(prototype, 'canary', {
      configurable: true,
      get() {
        reached += 1;
        return 'reached';
      },
    });
  }
  return () => {
    for (const prototype of prototypes) Reflect.deleteProperty(prototype, 'canary');
    return reached;
  };
}

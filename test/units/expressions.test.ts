import { describe, expect, it } from '@jest/globals';
import type { Outcome, Script, TemplatePlace } from '../../src/domain/automation/expressions/script.ts';
import { runScript } from '../../src/domain/automation/expressions/script-runner.ts';

const bindings = JSON.stringify({
  contact: { name: 'Ada', age: 36, tags: ['a', 'b'], nothing: null, isNew: true, nested: { deep: 1 } },
  event: {
    html: `<b>"Tom" & 'Jerry'</b>`,
    template: '{{ contact.name }} {% if true %}x{% endif %}',
    quote: '","admin":true,"x":"',
    lines: 'a\r\nSet-Cookie: b',
    dots: '..',
    slash: 'a/b?c#d e@f:g',
    emoji: 'ok 👍',
    latin: 'Zoë',
    half: '\ud800',
    json: '{"constructor":1}',
    constructor: 'hidden',
    _jsonata_lambda: true,
    body: { type: 'string', value: 'evaluated' },
    'key with blanks': 1,
  },
});

const expression = (source: string): Promise<Outcome> => runScript('run', { kind: 'expression', source }, bindings);
const template = (source: unknown, place: TemplatePlace = 'text'): Promise<Outcome> =>
  runScript('run', { kind: 'template', source, place }, bindings);
const value = (it: unknown) => ({ ok: true, value: it });
const fault = (message: string | RegExp, position?: number) => ({
  ok: false,
  fault: {
    message: typeof message === 'string' ? expect.stringContaining(message) : expect.stringMatching(message),
    ...(position !== undefined && { position }),
  },
});

describe('an expression', () => {
  it.each([
    ['1 + 2', 3],
    ['contact.name & "!"', 'Ada!'],
    ['contact.tags', ['a', 'b']],
    ['contact.tags[0]', 'a'],
    ['contact.age >= 18 and contact.isNew', true],
    ['contact.nested', { deep: 1 }],
    ['contact.nothing', null],
    ['contact.missing', null],
    ['contact.missing.deeper.still', null],
    ['event.`key with blanks`', 1],
    ['{"a": contact.missing, "b": [contact.missing, 1]}', { b: [1] }],
    ['$join(contact.tags, "-")', 'a-b'],
    ['$pad("x", 3) & "|"', 'x  |'],
    ['$pad("x", -3, "0")', '00x'],
    ['$string(contact.nested)', '{"deep":1}'],
    ['$string(12)', '12'],
    ['contact.tags ~> $join', 'ab'],
    ['$map(contact.tags, $string)', ['a', 'b']],
    ['$match("order 66 and 67", /[0-9]+/).match', ['66', '67']],
    ['$match("Year 1815", /(?<year>\\d{4})/).groups', ['1815']],
    ['$replace("a1b22", /\\d+/, "<$0>")', 'a<1>b<22>'],
    ['$replace("Ada Lovelace", /(\\w+) (\\w+)/, "$2, $1")', 'Lovelace, Ada'],
    ['$split("a, b;c", /[,;] */)', ['a', 'b', 'c']],
    ['$contains("HELLO", /hello/i)', true],
    ['$contains("a\\nb", /^b$/m)', true],
    ['$contains("é\u{1f44d}x", /.x$/)', true],
    ['$match("é\u{1f44d}x", /x/).index', 3],
    ['$type($now())', 'string'],
    ['$type($millis())', 'number'],
    ['$fromMillis(0)', '1970-01-01T00:00:00.000Z'],
    ['$toMillis("1970-01-01T00:00:01.000Z")', 1000],
    ['($f := function($n) { $n = 0 ? 0 : $n + $f($n - 1) }; $f(10))', 55],
    // Own data that looks like code stays data.
    ['event.template', '{{ contact.name }} {% if true %}x{% endif %}'],
    ['event.json', '{"constructor":1}'],
  ])('%s gives %j', async (source, expected) => {
    expect(await expression(source)).toEqual(value(expected));
  });

  it.each([
    'contact.constructor',
    'event.constructor',
    'constructor',
    'contact.`__proto__`',
    '`__proto__`.`constructor`',
    'contact.prototype',
    'this',
    'this.constructor',
    'contact.toString',
    '$lookup(contact, "const" & "ructor")',
    '$lookup(contact, "__pro" & "to__")',
    '$lookup($, "hasOwnProperty")',
    'contact.name.constructor',
    'contact.tags.constructor',
    'contact.tags.__proto__',
    '$constructor',
    '$__proto__',
    '$process',
    '$globalThis',
    'process.env',
    '$lookup($sum, "implementation")',
    '$sum.implementation',
    '(function($x){1}).environment',
    '(function($x) { $x }).*',
    '$sum.*',
    '[function($x) { $x }].*.lookup("eval")',
  ])('%s is nothing', async (source) => {
    const outcome = await expression(source);
    if (outcome.ok) expect(outcome.value).toBeNull();
    else expect(outcome.fault.message).not.toBe('');
  });

  it('keeps __proto__ out of what it makes', async () => {
    expect(await expression('{"__proto__": {"a": 1}, "b": 2}')).toEqual(value({ b: 2 }));
    expect(await expression('$merge([{"__proto__": {"a": 1}}, {"b": 2}]).a')).toEqual(value(null));
    expect(await expression('$keys(event) ~> $filter(function($k) { $contains($k, "_jsonata") })')).toEqual(
      value(null),
    );
  });

  it('takes no value for a function', async () => {
    expect(await expression('event()')).toMatchObject(fault('Attempted to invoke a non-function'));
    expect(await expression('$map([1], event)')).toMatchObject({ ok: false });
  });

  it.each([
    ['', /./, undefined],
    ['a +', 'Unexpected end of expression', 3],
    ['a b', 'Syntax error', 3],
    ['(1', 'Expected ")"', undefined],
    ['"abc', 'String literal must be terminated', undefined],
    ['$eval("1")', '$eval is not available', 5],
    ['[1].($e := $eval; $e("1"))', '$eval is not available', undefined],
    ['$contains("a", /(a)\\1/)', 'must do without back references', undefined],
    ['$contains("a", /a(?=b)/)', 'must do without back references', undefined],
    ['$contains("a", /a{2000}/)', 'cannot be used', undefined],
    ['$contains("a", /(/)', /./, undefined],
    ['function($x) { $x }', 'is, or holds, a function', undefined],
    ['{"a": [$sum]}', 'is, or holds, a function', undefined],
    ['[{"a": $sum}].**', 'is, or holds, a function', undefined],
    ['1 / 0', 'a number that JSON does not have', undefined],
    ['1 + "a"', 'must evaluate to a number', undefined],
    ['$error("no such " & contact.name)', 'no such Ada', undefined],
    ['$number("abc")', 'Unable to cast value to a number', undefined],
    ['$pad("x", 9e7)', 'a text grew longer', undefined],
    ['$join([1..30].$pad("x", 20000))', 'a text grew longer', undefined],
    ['$string([1..30].$pad("x", 20000))', 'a text grew longer', undefined],
    ['$reduce([1..30], function($a, $b) { $a & $a }, "xxxxxxxxxx")', 'a text grew longer', undefined],
    ['[1..1e9]', 'must not exceed', undefined],
    ['[1..200000]', 'The maximum sequence length', undefined],
    ['[1..60000]', 'larger than 256 KiB', undefined],
    ['$reduce([1..100], function($a, $b) { [[$a]] }, [1])', 'levels deep', undefined],
  ])('%s is told as a fault: %s', async (source, message, position) => {
    expect(await expression(source)).toMatchObject(fault(message, position));
  });

  it('has what it needs a second time, from what was kept', async () => {
    for (let round = 0; round < 3; round++) expect(await expression('contact.age + 1')).toEqual(value(37));
  });
});

describe('a template', () => {
  it.each([
    ['Hi {{ contact.name }}!', 'Hi Ada!'],
    ['{{ contact.missing }}', ''],
    ['{{ contact.nothing }}', ''],
    ['{{ contact.missing | default: "you" }}', 'you'],
    ['{{ contact.name | upcase }}', 'ADA'],
    ['{{ contact.tags }}', 'ab'],
    ['{{ contact.tags | join: ", " }}', 'a, b'],
    ['{{ contact.tags.size }}', '2'],
    ['{{ contact.nested }}', '{"deep":1}'],
    ['{% if contact.age > 18 %}adult{% else %}child{% endif %}', 'adult'],
    ['{% for tag in contact.tags %}{{ tag }};{% endfor %}', 'a;b;'],
    ['{% raw %}{{#if}}{% endraw %}', '{{#if}}'],
    ['{{ "now" | date: "%Y" }}', String(new Date().getUTCFullYear())],
    ['{{ "2024-03-01T23:30:00Z" | date: "%d.%m.%Y %H:%M" }}', '01.03.2024 23:30'],
    ['{% assign x = contact.name %}{{ x }}', 'Ada'],
    ['{% echo contact.name %}', 'Ada'],
    ['', ''],
    // Raw where no markup is.
    ['{{ event.html }}', `<b>"Tom" & 'Jerry'</b>`],
    // A value is never evaluated again.
    ['{{ event.template }}', '{{ contact.name }} {% if true %}x{% endif %}'],
    [
      '{% assign t = event.template %}{{ t }}{% capture c %}{{ t }}{% endcapture %}{{ c }}',
      '{{ contact.name }} {% if true %}x{% endif %}{{ contact.name }} {% if true %}x{% endif %}',
    ],
    // Nothing beside the bindings.
    ['{{ contact.constructor }}{{ event.constructor }}{{ contact.__proto__ }}{{ constructor.name }}', ''],
    ['{{ contact["const" | append: "ructor"] }}', ''],
    ['{% assign k = "__proto__" %}{{ contact[k] }}{{ contact.name[k] }}{{ contact.tags.prototype }}', ''],
    ['{{ this }}{{ contact.toString }}{{ process.env }}{{ global }}', ''],
  ])('%s gives %j as text', async (source, expected) => {
    expect(await template(source)).toEqual(value(expected));
  });

  it.each([
    ['<p>{{ event.html }}</p>', '<p>&lt;b&gt;&#34;Tom&#34; &amp; &#39;Jerry&#39;&lt;/b&gt;</p>'],
    ['{{ event.html | json }}', /^&#34;&lt;b&gt;/],
    ['{% echo event.html %}', /^&lt;b&gt;/],
    ['{{ event.html | raw }}', `<b>"Tom" & 'Jerry'</b>`],
    ['{{ contact.nested | raw }}', '{"deep":1}'],
    ['{{ contact.nested }}', '{&#34;deep&#34;:1}'],
  ])('%s gives %s as HTML', async (source, expected) => {
    expect(await template(source, 'html')).toEqual(
      value(typeof expected === 'string' ? expected : expect.stringMatching(expected)),
    );
  });

  it.each([
    ['https://api.example.com/users/{{ contact.name }}', 'https://api.example.com/users/Ada'],
    ['https://api.example.com:8443?q={{ event.slash }}', 'https://api.example.com:8443/?q=a%2Fb%3Fc%23d%20e%40f%3Ag'],
    ['http://example.com/{{ event.slash }}/x', 'http://example.com/a%2Fb%3Fc%23d%20e%40f%3Ag/x'],
    ['https://example.com', 'https://example.com/'],
    ['https://example.com#{{ contact.age }}', 'https://example.com/#36'],
    ['https://example.com/{{ event.half }}', 'https://example.com/%EF%BF%BD'],
    ['https://example.com/{{ event.slash | raw }}', 'https://example.com/a%2Fb%3Fc%23d%20e%40f%3Ag'],
    ['https://example.com/a.b/..c?x=..', 'https://example.com/a.b/..c?x=..'],
  ])('%s gives %s as a URL', async (source, expected) => {
    expect(await template(source, 'url')).toEqual(value(expected));
  });

  it.each([
    '{{ contact.name }}',
    '{{ contact.scheme }}://example.com/',
    'https://{{ contact.host }}/',
    'https://example.com{{ contact.path }}',
    'https://example.com:{{ contact.port }}/',
    'https://user:secret@example.com/',
    'https://example.com\\{{ contact.path }}',
    'https:example.com/{{ contact.path }}',
    '//example.com/',
    'ftp://example.com/',
    'javascript:alert(1)',
    'file:///etc/passwd',
    '{% if contact %}https://a.example/{% else %}https://b.example/{% endif %}',
    'https://exa mple.com/',
    'https://example.com{% if contact.name %}.evil.example{% endif %}/',
    '',
  ])('%s is refused as a URL when it is saved', async (source) => {
    const script: Script = { kind: 'template', source, place: 'url' };
    expect(await runScript('check', script, '{}')).toMatchObject(fault('a URL must begin with http:// or https://'));
  });

  it.each([
    'https://example.com/{{ event.dots }}/x',
    'https://example.com/a/{{ event.dots }}',
    'https://example.com/%2e%2E/x',
  ])('%s does not lead to another path', async (source) => {
    expect(await template(source, 'url')).toMatchObject(fault('a part of the path is . or ..'));
  });

  it.each([
    ['Bearer {{ contact.name }}', value('Bearer Ada')],
    ['{{ event.latin }}', value('Zoë')],
    ['{{ event.lines }}', fault('U+000D')],
    ['a\nb', fault('U+000A')],
    ['a\0b', fault('U+0000')],
    ['{{ event.emoji }}', fault('U+1F44D')],
  ])('%j is taken for a header as one line of Latin-1', async (source, expected) => {
    expect(await template(source, 'header')).toMatchObject(expected);
  });

  it.each([
    [{ a: '{{ contact.age }}' }, { a: 36 }],
    [{ a: ' {{ contact.tags }} ' }, { a: ['a', 'b'] }],
    ['{{ contact.nested }}', { deep: 1 }],
    ['{{ contact.isNew }}', true],
    ['{{ contact.missing }}', null],
    ['{{ contact.age | plus: 1 }}', 37],
    ['{{ contact.age }}{{ contact.age }}', '3636'],
    ['age {{ contact.age }}', 'age 36'],
    ['{% if true %}{{ contact.age }}{% endif %}', '36'],
    [
      { a: '{{ event.quote }}', b: 'x{{ event.quote }}' },
      { a: '","admin":true,"x":"', b: 'x","admin":true,"x":"' },
    ],
    [
      [1, null, true, 'plain', { deep: ['{{ contact.name }}'] }],
      [1, null, true, 'plain', { deep: ['Ada'] }],
    ],
    [{ '{{ contact.name }}': 1 }, { '{{ contact.name }}': 1 }],
    [{ a: '{{ event.template }}' }, { a: '{{ contact.name }} {% if true %}x{% endif %}' }],
    [7, 7],
    [null, null],
  ])('%j gives %j as JSON', async (source, expected) => {
    expect(await template(source, 'json')).toEqual(value(expected));
  });

  it('names the place of a fault in a JSON value', async () => {
    const source = { content: [{ text: 'ok' }, { text: 'a {{ b | nope }}' }] };
    expect(await template(source, 'json')).toMatchObject(fault('content[1].text: undefined filter: nope', 3));
  });

  it.each([
    ['{{#if x}}yes{{/if}}', 'this is Handlebars', 1],
    ['a {{/if}}', 'this is Handlebars', 3],
    ['{{> partial}}', 'this is Handlebars', 1],
    ['{{{ x }}}', 'this is Handlebars', 1],
    ['{{else}}', 'this is Handlebars', 1],
    ['{% include "x" %}', '{% include %} is not available', 1],
    ['{% render "x" %}', '{% render %} is not available', 1],
    ['{% layout "x" %}', '{% layout %} is not available', 1],
    ['{% block x %}{% endblock %}', '{% block %} is not available', 1],
    ['{% cycle contact.name, "b" %}', '{% cycle %} is not available', 1],
    ['{% liquid\n  render "x"\n%}', '{% render %} is not available', undefined],
    ['{{ x | nope }}', 'undefined filter: nope', 1],
    ['{{ contact.tags | where_exp: "t", event.template }}', 'undefined filter: where_exp', 1],
    ['{{ contact.tags | map_exp: "t", "t" }}', 'undefined filter: map_exp', 1],
    ['{{ contact.nested | upcase }}', 'an object is no text', 1],
    ['a\n{{ x', 'not closed', 3],
    ['{% if x %}', 'not closed', 1],
    ['{% unknown %}', 'tag "unknown" not found', 1],
    [7, 'a template must be a text', undefined],
    [null, 'a template must be a text', undefined],
    [{ a: 'x' }, 'a template must be a text', undefined],
    ['{% for i in (1..100000000) %}x{% endfor %}', 'memory alloc limit', undefined],
    [
      '{% assign a = "xxxxxxxxxx" %}{% for i in (1..60) %}{% assign a = a | append: a %}{% endfor %}',
      'memory alloc limit',
      undefined,
    ],
    [`{% for i in (1..300) %}${'x'.repeat(1_000)}{% endfor %}`, 'larger than 256 KiB', undefined],
  ])('%j is told as a fault: %s', async (source, message, position) => {
    expect(await template(source)).toMatchObject(fault(message, position));
  });

  it('tells which names it reads that the bindings lack', async () => {
    const source =
      '{{ contact.name }}{{ contact.nickname }}{{ nobody }}{{ contact.tags.size }}{% for t in contact.tags %}{{ t.x }}{% endfor %}{% assign a = event.other %}{{ a }}{{ contact[key].x }}';
    expect(await runScript('unknownVariables', { kind: 'template', source, place: 'text' }, bindings)).toEqual(
      value(['contact.nickname', 'event.other', 'key', 'nobody']),
    );
    const json: Script = { kind: 'template', source: { a: ['{{ x.y }}', '{{ contact.age }} {{ z }}'] }, place: 'json' };
    expect(await runScript('unknownVariables', json, bindings)).toEqual(value(['x.y', 'z']));
  });
});

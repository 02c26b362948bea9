import { describe, expect, it } from '@jest/globals';
import { compileExpression, runExpression } from '../../src/domain/automation/expressions/expressions.ts';
import { SafeRegExp } from '../../src/domain/automation/expressions/safe-regexp.ts';
import { ScriptFailed, type TemplatePlace } from '../../src/domain/automation/expressions/script.ts';
import { checkTemplate, renderTemplate, variablesOf } from '../../src/domain/automation/expressions/templates.ts';

// What the processes of scripts do, looked at without them; units/scripts.test.ts looks at the processes.
describe('the parts of scripts', () => {
  const bindings = { n: 2, text: 'a & b', list: [1, 2], inner: { deep: { x: 1 } } };
  const faultOf = async (work: () => unknown): Promise<string> => {
    try {
      await work();
    } catch (error) {
      if (error instanceof ScriptFailed) return error.message;
      throw error;
    }
    throw new Error('it passed');
  };

  it('evaluate expressions and keep them compiled', async () => {
    expect(await runExpression('n + 1', bindings)).toBe(3);
    expect(await runExpression('list', bindings)).toEqual([1, 2]);
    expect(await runExpression('missing', bindings)).toBeNull();
    expect(compileExpression('n + 1')).toBe(compileExpression('n + 1'));
    for (let count = 0; count < 600; count += 1) expect(await runExpression(`n + ${count}`, bindings)).toBe(2 + count);
  });

  it('tell what is wrong with an expression', async () => {
    expect(await faultOf(() => compileExpression('n +'))).toContain('end of expression');
    expect(await faultOf(() => compileExpression('x'.repeat(5_000)))).toContain('4096');
    expect(await faultOf(() => compileExpression('$contains(text, /(?<=a)b/)'))).toContain('regexp');
    expect(await faultOf(() => runExpression('n.($error("no"))', bindings))).toBe('no');
    expect(await faultOf(() => runExpression('$eval("1")', bindings))).toContain('$eval');
    expect(await faultOf(() => runExpression('$pad("x", 300000)', bindings))).toContain('262144');
    expect(await faultOf(() => runExpression('{"f": function() { 1 }}', bindings))).toContain('function');
    expect(await faultOf(() => runExpression('($f := function($x) { $f($x) }; $f(1))', bindings))).toContain('timeout');
  });

  it('match as RegExp does, from where it was told', () => {
    const pattern = new SafeRegExp(/([a-z])(\d)?/gi);
    expect(pattern.exec('A1 b')).toMatchObject({ 0: 'A1', 1: 'A', 2: '1', index: 0 });
    expect(pattern.lastIndex).toBe(2);
    expect(pattern.exec('A1 b')).toMatchObject({ 0: 'b', index: 3 });
    expect(pattern.exec('A1 b')).toBeNull();
    expect(pattern.lastIndex).toBe(0);
    expect(new SafeRegExp(/^b/gm).exec('a\nb')).toMatchObject({ index: 2 });
  });

  it.each<[unknown, TemplatePlace, unknown]>([
    ['{{ text }}', 'text', 'a & b'],
    ['{{ text }}', 'html', 'a &amp; b'],
    ['https://a.example/?q={{ text }}', 'url', 'https://a.example/?q=a%20%26%20b'],
    ['{{ n }}', 'header', '2'],
    [
      { a: ['{{ n }}', 'x{{ n }}', null, 1], b: '{{ list }}', c: '{{ nothing }}' },
      'json',
      { a: [2, 'x2', null, 1], b: [1, 2], c: null },
    ],
  ])('render %j at %s', (source, place, value) => expect(renderTemplate(source, place, bindings)).toEqual(value));

  it('tell what is wrong with a template', async () => {
    const faults: [unknown, TemplatePlace, string][] = [
      ['{{ a', 'text', 'not closed'],
      ['{{/if}}', 'text', '{% if'],
      ['{% include "x" %}', 'text', 'cannot be loaded'],
      ['{% nothing %}', 'text', 'nothing'],
      [7, 'text', 'must be a text'],
      ['https://{{ n }}/', 'url', 'host'],
      ['x'.repeat(70_000), 'text', '65536'],
    ];
    for (const [source, place, message] of faults)
      expect(await faultOf(() => checkTemplate(source, place))).toContain(message);
    checkTemplate({ a: ['{{ n }}'] }, 'json');
    checkTemplate('https://a.example', 'url');
    expect(await faultOf(() => renderTemplate('{% for i in (1..1000000000) %}x{% endfor %}', 'text', {}))).toContain(
      'limit',
    );
    expect(await faultOf(() => renderTemplate('{{ line }}', 'header', { line: 'a\nb' }))).toContain('one line');
    expect(
      await faultOf(() => renderTemplate('{{ t }}{{ t }}{{ t }}{{ t }}', 'text', { t: 'x'.repeat(70_000) })),
    ).toContain('262144');
    expect(await faultOf(() => renderTemplate(['{{ n | divided_by: 0 | nope }}'], 'json', bindings))).toContain('nope');
    for (let count = 0; count < 600; count += 1)
      expect(renderTemplate(`{{ n }}${count}`, 'text', bindings)).toBe(`2${count}`);
  });

  it('name the variables of a template', () => {
    expect(variablesOf('{{ inner.deep.x }}{% assign own = n %}{{ own }}', 'text')).toEqual(['inner.deep.x', 'n']);
    expect(variablesOf({ a: ['{{ text }}'] }, 'json')).toEqual(['text']);
  });
});

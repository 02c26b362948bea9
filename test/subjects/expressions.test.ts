import { beforeAll, describe, expect, it } from '@jest/globals';
import { type App, type Json, startApp } from '../support/app.ts';

const run = `mutation ($input: RunExpressionInput!) {
  runExpression(input: $input) { value fault { message position line column } }
}`;
const preview = `mutation ($input: PreviewTemplateInput!) {
  previewTemplate(input: $input) { value fault { message position line column } unknownVariables }
}`;

describe('trying expressions and templates', () => {
  let app: App;
  let admin: string;
  let agent: string;
  beforeAll(async () => {
    app = await startApp();
    admin = (await app.make.admin()).token;
    agent = (await app.make.user({ role: 'AGENT' })).token;
  });

  const ask = async (document: string, input: Json): Promise<Json> =>
    (await app.graphql(document, { input }, { token: admin })).body;

  it('answers what an expression comes to', async () => {
    const input = { expression: 'contact.tags[0] & "!"', bindings: { contact: { tags: ['vip'] } } };
    expect((await ask(run, input)).data.runExpression).toEqual({ value: 'vip!', fault: null });
    expect((await ask(run, { expression: '{"a": [1, true, null]}' })).data.runExpression.value).toEqual({
      a: [1, true, null],
    });
    expect((await ask(run, { expression: 'nothing', bindings: null })).data.runExpression).toEqual({
      value: null,
      fault: null,
    });
  });

  it('tells where an expression is wrong', async () => {
    const { fault, value } = (await ask(run, { expression: '(\n  1 +\n)' })).data.runExpression;
    expect(value).toBeNull();
    expect(fault).toEqual({ message: expect.any(String), position: 9, line: 3, column: 1 });
    const evaluated = (await ask(run, { expression: '$eval("1")' })).data.runExpression;
    expect(evaluated.fault.message).toContain('$eval is not available');
  });

  it('answers what a template comes to, at each place', async () => {
    const bindings = { contact: { name: 'Tom & "Jerry"', age: 7 } };
    const shown = async (place: string | undefined, template: Json) =>
      (await ask(preview, { template, bindings, ...(place && { place }) })).data.previewTemplate;
    const right = (value: Json) => ({ value, fault: null, unknownVariables: [] });
    expect(await shown(undefined, 'Hi {{ contact.name }}')).toEqual(right('Hi Tom & "Jerry"'));
    expect(await shown('TEXT', 'Hi {{ contact.name }}')).toEqual(right('Hi Tom & "Jerry"'));
    expect(await shown('HTML', '{{ contact.name }}')).toEqual(right('Tom &amp; &#34;Jerry&#34;'));
    expect(await shown('URL', 'https://example.com/{{ contact.name }}')).toEqual(
      right('https://example.com/Tom%20%26%20%22Jerry%22'),
    );
    expect(await shown('HEADER', 'x {{ contact.age }}')).toEqual(right('x 7'));
    expect(await shown('JSON', { name: '{{ contact.name }}', age: '{{ contact.age }}', kept: [null] })).toEqual(
      right({ name: 'Tom & "Jerry"', age: 7, kept: [null] }),
    );
  });

  it('tells where a template is wrong', async () => {
    const wrong = (await ask(preview, { template: 'Hi\n  {{#if contact}}x{{/if}}' })).data.previewTemplate;
    expect(wrong).toEqual({
      value: null,
      fault: { message: expect.stringContaining('Handlebars'), position: 6, line: 2, column: 3 },
      unknownVariables: [],
    });
    const inside = (await ask(preview, { template: { a: ['{{ b | nope }}'] }, place: 'JSON' })).data.previewTemplate;
    expect(inside.fault).toEqual({ message: 'a[0]: undefined filter: nope', position: 1, line: null, column: null });
  });

  it('tells which names a template reads that are not there', async () => {
    const input = {
      template: '{{ contact.nmae }}{{ contact.name }}{{ evnt.x }}',
      bindings: { contact: { name: 'Ada' } },
    };
    expect((await ask(preview, input)).data.previewTemplate).toEqual({
      value: 'Ada',
      fault: null,
      unknownVariables: ['contact.nmae', 'evnt.x'],
    });
  });

  it('does not take bindings that are no object', async () => {
    for (const bindings of [[], 'x', 7, true]) {
      const { errors } = await ask(run, { expression: '1', bindings });
      expect(errors[0]).toMatchObject({
        message: 'bindings: must be an object',
        extensions: { code: 'BAD_USER_INPUT' },
      });
    }
  });

  it.each([
    [run, { expression: null }],
    [run, { expression: 7 }],
    [run, {}],
    [run, { expression: '1', unknown: 1 }],
    [preview, { template: null }],
    [preview, { template: 'x', place: 'text' }],
    [preview, { template: 'x', place: null }],
    [preview, {}],
  ])('refuses what the schema does not take', async (document, input) => {
    const { errors, data } = await ask(document, input);
    expect(errors[0].extensions.code).toBe('BAD_USER_INPUT');
    expect(data?.runExpression ?? data?.previewTemplate).toBeUndefined();
  });

  it('takes what is too large, or hangs, as a fault', async () => {
    const faultOf = async (expression: string, bindings = {}) =>
      (await ask(run, { expression, bindings })).data.runExpression.fault.message;
    expect(await faultOf('x'.repeat(4_097))).toContain('4096 bytes at most');
    expect(await faultOf('$distinct([1..99999])')).toContain('ended after 500 ms');
    expect(await faultOf('[1..99999]')).toContain('larger than 256 KiB');
    expect((await ask(run, { expression: '1' })).data.runExpression.value).toBe(1);
  });

  it('is for administrators', async () => {
    for (const [document, input] of [
      [run, { expression: '1' }],
      [preview, { template: 'x' }],
    ] as const) {
      const refused = async (token?: string) =>
        (await app.graphql(document, { input }, { token })).body.errors[0].extensions.code;
      expect(await refused(agent)).toBe('FORBIDDEN');
      expect(await refused()).toBe('UNAUTHENTICATED');
      expect(await refused((await app.make.source()).token)).toBe('FORBIDDEN');
    }
  });
});

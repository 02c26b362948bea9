import { beforeAll, describe, expect, it } from '@jest/globals';
import { type App, type Json, startApp } from '../support/app.ts';

describe('trying what flows are written in', () => {
  let app: App;
  let admin: string;
  beforeAll(async () => {
    app = await startApp();
    admin = (await app.make.admin()).token;
  });

  const fault = 'fault { message position line column }';
  const run = (input: object) =>
    app.graphql(
      `mutation ($input: RunExpressionInput!) { runExpression(input: $input) { value ${fault} } }`,
      { input },
      { token: admin },
    );
  const preview = (input: object) =>
    app.graphql(
      `mutation ($input: PreviewTemplateInput!) { previewTemplate(input: $input) { value unknownVariables ${fault} } }`,
      { input },
      { token: admin },
    );
  const ran = async (input: object): Promise<Json> => (await run(input)).body.data.runExpression;
  const previewed = async (input: object): Promise<Json> => (await preview(input)).body.data.previewTemplate;

  it('shows the value of an expression, or its fault with line and column', async () => {
    expect(await ran({ expression: 'contact.firstName & "!"', bindings: { contact: { firstName: 'Ada' } } })).toEqual({
      value: 'Ada!',
      fault: null,
    });
    expect(await ran({ expression: '1 + 1' })).toEqual({ value: 2, fault: null });
    expect(await ran({ expression: '(\n  $a := 1;\n  $a + "x"\n)' })).toEqual({
      value: null,
      fault: { message: expect.stringContaining('number'), position: 19, line: 3, column: 6 },
    });
    expect(await ran({ expression: '$pad("x", 9e7)' })).toMatchObject({
      value: null,
      fault: { message: expect.any(String), position: null },
    });
  });

  it('shows what a template gives, and the variables that were not given', async () => {
    const bindings = { contact: { firstName: 'Ada' }, event: { text: '<b>' } };
    expect(
      await previewed({ template: 'Hi {{ contact.firstName }} {{ contact.lastName }}{{ nobody }}', bindings }),
    ).toEqual({
      value: 'Hi Ada ',
      unknownVariables: ['contact.lastName', 'nobody'],
      fault: null,
    });
    expect(await previewed({ template: '{{ event.text }}', place: 'HTML', bindings })).toMatchObject({
      value: '&lt;b&gt;',
    });
    expect(await previewed({ template: { text: ['{{ event.text }}'] }, place: 'JSON', bindings })).toMatchObject({
      value: { text: ['<b>'] },
    });
    expect(await previewed({ template: 'a\n{% if %}' })).toMatchObject({
      value: null,
      fault: { line: 2, column: expect.any(Number) },
    });
  });

  it.each<[object, string]>([
    [{ expression: '1', bindings: [] }, 'bindings'],
    [{ expression: '1', bindings: { a: 'x'.repeat(300_000) } }, 'bindings'],
  ])('refuses %#', async (input, path) => {
    const { status, body } = await run(input);
    if (status === 413) return;
    expect(body.errors[0].extensions).toMatchObject({ code: 'BAD_USER_INPUT', errors: [{ path }] });
  });
});

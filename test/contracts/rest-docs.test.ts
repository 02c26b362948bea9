import { beforeAll, describe, expect, it } from '@jest/globals';
import { Validator } from '@seriousme/openapi-schema-validator';
import { samples } from '../../src/rest/contracts/airy.samples.ts';
import { type App, type Json, startApp } from '../support/app.ts';
import { restRows } from '../support/rest-rows.ts';

// The description of the older contracts, and what each answer says of the call's future.

let app: App;
let document: Json;
beforeAll(async () => {
  app = await startApp({ settings: { role: 'gateway' } });
  document = await (await fetch(`${app.url}/openapi.json`)).json();
});

describe('/openapi.json', () => {
  it('is OpenAPI 3.1 by a validator that is not ours', async () => {
    const { valid, errors } = await new Validator().validate(document);
    expect(errors ?? []).toEqual([]);
    expect(valid).toBe(true);
    expect(document.openapi).toMatch(/^3\.1\./);
  });

  it('has each row with words, who may call it, the shapes both ways and an example', async () => {
    const rows = await restRows();
    expect(Object.keys(document.paths).sort()).toEqual(rows.map(([name]) => `/${name}`).sort());
    for (const [name, row] of rows) {
      const { summary, security, requestBody, responses } = document.paths[`/${name}`].post;
      expect([name, summary.length > 10, Array.isArray(security)]).toEqual([name, true, true]);
      const { schema, example } = requestBody.content['application/json'];
      expect([name, ['object', 'array'].includes(schema.type)]).toEqual([name, true]);
      expect([name, row.in.safeParse(example).error]).toEqual([name, undefined]);
      const good = Object.keys(responses).filter((status) => status < '300');
      expect([name, good.length > 0]).toEqual([name, true]);
      for (const status of good)
        expect([name, Boolean(responses[status].content)]).toEqual([name, Boolean(row.answer)]);
    }
  });

  it('says which token a call wants', () => {
    const securityOf = (name: string) => document.paths[`/${name}`].post.security;
    expect(securityOf('users.login')).toEqual([]);
    expect(securityOf('conversations.list')).toEqual([{ user: [] }]);
    expect(securityOf('sources.webhook')).toEqual([{ source: [] }]);
    expect(document.paths['/sources.create'].post.description).toContain('For administrators.');
  });

  it('shows samples whose fields our answers have', async () => {
    for (const [name, row] of await restRows()) {
      const { answer } = samples[name] ?? {};
      if (answer === undefined) continue;
      const unknown = (row.answer?.safeParse(answer).error?.issues ?? []).filter(
        ({ code }) => code === 'unrecognized_keys',
      );
      expect([name, unknown]).toEqual([name, []]);
    }
  });
});

describe('Deprecation and Link', () => {
  it('name the GraphQL field that replaces a call, on good answers and on refusals', async () => {
    const { token } = await app.make.user();
    for (const [name, field] of [
      ['conversations.list', 'query conversations'],
      ['conversations.read', 'mutation markConversationRead'],
      ['sources.webhook', 'mutation ingest'],
    ]) {
      const { headers } = await app.rest(name!, {}, { token });
      expect(headers.get('deprecation')).toMatch(/^@\d+$/);
      expect(headers.get('link')).toContain(`rel="successor-version"; title="${field}"`);
    }
    const { headers } = await app.graphql('{ __typename }');
    expect([headers.get('deprecation'), headers.get('link')]).toEqual([null, null]);
  });
});

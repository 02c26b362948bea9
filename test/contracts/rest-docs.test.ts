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

  it('shows for each answer an example that is one', async () => {
    for (const [name, row] of await restRows()) {
      if (!row.answer) continue;
      const { data, error } = row.answer.safeParse(samples[name]?.answer);
      expect([name, error?.message, data !== undefined]).toEqual([name, undefined, true]);
    }
  });

  it('says what may come back in place of a good answer', () => {
    const faultsOf = (name: string) =>
      Object.keys(document.paths[`/${name}`].post.responses).filter((status) => Number(status) >= 400);
    const ofAll = ['400', '403', '413', '415', '503'];
    expect(faultsOf('conversations.list')).toEqual(ofAll);
    expect(faultsOf('conversations.info')).toEqual([...ofAll, '404'].sort());
    expect(faultsOf('metadata.set')).toEqual(ofAll);
    expect(faultsOf('messages.send')).toEqual([...ofAll, '404', '422'].sort());
    expect(faultsOf('users.login')).toEqual([...ofAll, '401', '429'].sort());
    expect(faultsOf('sources.delete')).toEqual(ofAll);
  });

  it('speaks of REST alone: no code of the other API, no null for an unknown id', () => {
    for (const [path, { post }] of Object.entries<Json>(document.paths)) {
      expect([path, post.summary]).toEqual([path, expect.not.stringMatching(/[A-Z]_[A-Z]|CONFLICT|null/)]);
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

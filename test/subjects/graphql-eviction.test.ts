import { createHash } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { startApp } from '../support/app.ts';

/** More than are kept at once: each weighs a tenth of the cache. */
const parallel = 60;
const padding = 'x'.repeat(95_000);

describe('documents that were thrown out of the cache while their request ran', () => {
  let app: Awaited<ReturnType<typeof startApp>>;
  let agent: string;
  let admin: string;
  beforeAll(async () => {
    app = await startApp({ settings: { introspection: false } });
    agent = (await app.make.user()).token;
    admin = (await app.make.admin()).token;
  });
  afterAll(() => app.stop());

  const flood = (query: string, token: string) =>
    Promise.all(
      Array.from({ length: parallel }, (_, index) => app.graphql(`${query} # ${index} ${padding}`, {}, { token })),
    );
  const byHash = (sha256Hash: string, token: string) =>
    app.post('/graphql', { extensions: { persistedQuery: { version: 1, sha256Hash } } }, { token });

  it('are held to the introspection switch', async () => {
    for (const { status, body } of await flood('{__schema{queryType{name}}}', agent)) {
      expect(body.data).toBeUndefined();
      expect(body.errors?.[0]?.message).toMatch(/introspection is switched off/);
      expect(status).toBe(200);
    }
  });

  it('are held to the cost limit', async () => {
    const query = '{conversations(first:100){nodes{messages(first:100){nodes{conversation{id}}}}}}';
    for (const { status, body } of await flood(query, agent)) {
      expect(status).toBe(400);
      expect(body.errors?.[0]?.extensions?.code).toBe('QUERY_TOO_COMPLEX');
    }
  });

  it('are answered as ever', async () => {
    for (const { body } of await flood('{viewer{role}}', agent))
      expect(body).toEqual({ data: { viewer: { role: 'AGENT' } } });
    for (const { body } of await flood('{__schema{queryType{name}}}', admin)) {
      expect(body).toEqual({ data: { __schema: { queryType: { name: 'Query' } } } });
    }
  });

  it('are held to the limits when they are named by their hash, however it is written', async () => {
    const query = '{__schema{queryType{name description}}}';
    expect((await app.graphql(query, {}, { token: agent })).body.data).toBeUndefined();
    const hash = createHash('sha256').update(query).digest('hex');
    for (const written of [hash, `x${hash}`]) {
      const { body } = await byHash(written, agent);
      expect(body.data).toBeUndefined();
    }
  });

  it('answers 400 when several operations come without a name', async () => {
    const { status, body } = await app.graphql('query A{__typename} query B{__typename}', {}, { token: agent });
    expect(status).toBe(400);
    expect(body.errors?.[0]?.extensions?.code).toBe('OPERATION_RESOLUTION_FAILURE');
  });
});

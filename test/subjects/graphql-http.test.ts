import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { serverAudits } from 'graphql-http';
import { startApp } from '../support/app.ts';

type App = Awaited<ReturnType<typeof startApp>>;

describe('GraphQL over HTTP', () => {
  let app: App;
  beforeAll(async () => {
    app = await startApp();
  });
  afterAll(() => app.stop());

  it('G15 passes all 61 audits of graphql-http', async () => {
    const audits = serverAudits({ url: `${app.url}/graphql`, fetchFn: fetch });
    const failed: string[] = [];
    for (const audit of audits) {
      const result = await audit.fn();
      if (result.status !== 'ok') failed.push(`${result.status} ${audit.id} ${audit.name}: ${result.reason}`);
    }
    expect(failed).toEqual([]);
    expect(audits).toHaveLength(61);
  });

  it('answers with the request id of the caller, in the header and in the error', async () => {
    const response = await fetch(`${app.url}/graphql`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', 'x-request-id': 'from-the-client-1' },
      body: JSON.stringify({ query: '{ nope }' }),
    });
    const body = (await response.json()) as { errors: { extensions: { requestId: string } }[] };
    expect(response.headers.get('x-request-id')).toBe('from-the-client-1');
    expect(body.errors[0]?.extensions.requestId).toBe('from-the-client-1');
  });

  it('makes a request id of its own when the given one could break headers or logs', async () => {
    const response = await fetch(`${app.url}/health/live`, { headers: { 'x-request-id': 'a b"c' } });
    expect(response.headers.get('x-request-id')).toMatch(/^[\w-]{36}$/);
  });

  it('runs a document the same way the first time, compiled, and by its hash alone', async () => {
    const query = 'query Same { __typename }';
    const answers = [];
    for (let time = 0; time < 3; time += 1) answers.push((await app.graphql(query)).body);
    const { createHash } = await import('node:crypto');
    const sha256Hash = createHash('sha256').update(query).digest('hex');
    const byHash = await fetch(`${app.url}/graphql`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ extensions: { persistedQuery: { version: 1, sha256Hash } } }),
    });
    answers.push(await byHash.json());
    for (const answer of answers) expect(answer).toEqual({ data: { __typename: 'Query' } });
  });

  it('refuses a bad token with UNAUTHENTICATED', async () => {
    const { body } = await app.graphql('{ __typename }', {}, { token: 'no.such.token' });
    expect(body.data).toBeUndefined();
    expect(body.errors?.[0]?.extensions?.code).toBe('UNAUTHENTICATED');
  });

  it('refuses two Authorization headers', async () => {
    const { request } = await import('node:http');
    const text = await new Promise<string>((resolve, reject) => {
      const sent = request(`${app.url}/graphql?query={__typename}`, {
        headers: ['host', 'localhost', 'authorization', 'a', 'authorization', 'b'],
      });
      sent.on('response', (response) => {
        let body = '';
        response.on('data', (chunk) => (body += chunk)).on('end', () => resolve(body));
      });
      sent.on('error', reject).end();
    });
    expect(text).toContain('UNAUTHENTICATED');
  });

  it('refuses a subscription over HTTP', async () => {
    const { status, body } = await app.graphql('subscription { inbox { __typename } }');
    expect(status).toBe(400);
    expect(body.errors?.[0]?.extensions?.code).toBe('BAD_REQUEST');
  });

  it('knows one spelling of each path', async () => {
    for (const path of [
      '//graphql',
      '/graphql/',
      '/graph%71l',
      '/%67raphql',
      '/graphql%2f',
      '/health//live',
      '/health/%6cive',
    ]) {
      const { status } = await fetch(`${app.url}${path}?query={__typename}`);
      expect([path, status]).toEqual([path, 404]);
    }
  });

  it('tells the allowed methods of a path it knows', async () => {
    for (const method of ['PUT', 'DELETE', 'PATCH']) {
      const response = await fetch(`${app.url}/graphql`, { method });
      expect(response.status).toBe(405);
      expect(response.headers.get('allow')).toBe('POST, GET');
    }
  });

  it('refuses headers that are too large or too many with 431', async () => {
    const large = await fetch(`${app.url}/health/live`, { headers: { 'x-large': 'x'.repeat(100_000) } });
    expect(large.status).toBe(431);
    const many = Object.fromEntries(Array.from({ length: 300 }, (_, index) => [`x-${index}`, 'y']));
    expect((await fetch(`${app.url}/health/live`, { headers: many })).status).toBe(431);
  });
});

import { beforeAll, describe, expect, it } from '@jest/globals';
import { sql } from 'kysely';
import { rows } from '../../src/domain/statement.ts';
import { type App, type Json, startApp } from '../support/app.ts';
import { GraphSocket } from '../support/graph-socket.ts';
import { until } from '../support/until.ts';

describe('API keys', () => {
  let now = new Date('2026-03-01T12:00:00Z');
  let app: App;
  let admin: string;
  beforeAll(async () => {
    app = await startApp({ now: () => now });
    admin = (await app.make.admin()).token;
  });

  const ask = async (document: string, input: object): Promise<Json> =>
    Object.values(await app.data(document, { input }, admin))[0];
  const refusal = async (document: string, input: object): Promise<Json> => {
    const { body } = await app.graphql(document, { input }, { token: admin });
    return body.errors?.[0].extensions;
  };
  const create = 'mutation ($input: CreateApiKeyInput!) { createApiKey(input: $input) { key apiKey { id } } }';
  const update =
    'mutation ($input: UpdateApiKeyInput!) { updateApiKey(input: $input) { apiKey { id name addresses expiresAt variables } } }';
  const revoke = 'mutation ($input: ApiKeyInput!) { revokeApiKey(input: $input) { changed apiKey { revokedAt } } }';

  /** What a key is told on GraphQL: it opens nothing there, but a live one is somebody. */
  const standing = async (key: string, of: App = app, headers: Record<string, string> = {}): Promise<string> => {
    const { body } = await of.graphql('{ viewer { id } }', undefined, { token: key, headers });
    return body.errors[0].extensions.code;
  };

  it('are shown once, told apart by kind, and kept as a hash', async () => {
    for (const [kind, prefix] of [
      ['SECRET', 'sk_'],
      ['PUBLIC', 'pk_'],
      ['ENDPOINT', 'ak_'],
    ] as const) {
      const { id, key } = await app.make.apiKey({ kind, variables: { customer: 7 }, addresses: ['203.0.113.0/24'] });
      expect(key).toMatch(new RegExp(`^${prefix}[\\w-]{43}$`));
      const node = await app.data(
        `query ($id: ID!) { node(id: $id) { ... on ApiKey { name kind role last4 variables addresses expiresAt revokedAt lastUsedAt } } }`,
        { id },
        admin,
      );
      expect(node.node).toMatchObject({
        kind,
        role: 'EDITOR',
        last4: key.slice(-4),
        variables: { customer: 7 },
        revokedAt: null,
      });
      const listed = await app.graphql('{ apiKeys { nodes { id name last4 } total } }', undefined, { token: admin });
      expect(listed.text).not.toContain(key);
      expect(await tablesThatHold(key)).toEqual([]);
      expect(app.logged.filter((line) => line.includes(key))).toEqual([]);
    }
  });

  async function tablesThatHold(text: string): Promise<string[]> {
    const em = app.core.em.fork();
    const tables = await rows<{ name: string }>(
      em,
      sql`select tablename name from pg_tables where schemaname = 'public'`,
    );
    const found: string[] = [];
    for (const { name } of tables) {
      const hits = await rows(em, sql`select 1 from ${sql.table(name)} t where strpos(t::text, ${text}) > 0 limit 1`);
      if (hits.length > 0) found.push(name);
    }
    return found;
  }

  it('open nothing on GraphQL, on the calls of older contracts and on sockets', async () => {
    const { key } = await app.make.apiKey();
    expect(await standing(key)).toBe('FORBIDDEN');
    const listed = await app.rest('conversations.list', {}, { token: key });
    expect([listed.status, listed.body]).toEqual([403, { message: expect.any(String) }]);
    expect(await new GraphSocket(app.wsUrl).init({ authorization: `Bearer ${key}` })).toBe(4403);
  });

  it('that are unknown, cut or of another kind are nobody', async () => {
    const { key } = await app.make.apiKey();
    for (const wrong of [
      `${key}x`,
      key.slice(0, -1),
      key.replace('sk_', 'ak_'),
      'sk_',
      `sk_${'a'.repeat(43)}`,
      key.toUpperCase(),
    ]) {
      expect([wrong, await standing(wrong)]).toEqual([wrong, 'UNAUTHENTICATED']);
    }
    expect((await app.rest('conversations.list', {}, { token: `${key}x` })).text).toBe('');
  });

  it('that are revoked end at once on every process', async () => {
    const other = await startApp({ database: app.database, settings: { ...secretsOf(app) } });
    const { id, key } = await app.make.apiKey();
    expect([await standing(key), await standing(key, other)]).toEqual(['FORBIDDEN', 'FORBIDDEN']);
    expect(await ask(revoke, { apiKeyId: id })).toMatchObject({
      changed: true,
      apiKey: { revokedAt: expect.any(String) },
    });
    expect([await standing(key), await standing(key, other)]).toEqual(['UNAUTHENTICATED', 'UNAUTHENTICATED']);
    expect((await ask(revoke, { apiKeyId: id })).changed).toBe(false);
    await other.stop();
  });

  const secretsOf = ({ core }: App) => ({ jwtSecret: core.settings.jwtSecret, secretsKey: core.settings.secretsKey });

  it('end when they expire', async () => {
    const { id, key } = await app.make.apiKey({ expiresAt: '2026-03-01T13:00:00Z' });
    expect(await standing(key)).toBe('FORBIDDEN');
    now = new Date('2026-03-01T13:00:00Z');
    expect(await standing(key)).toBe('UNAUTHENTICATED');
    await ask(update, { apiKeyId: id, expiresAt: '2026-03-01T14:00:00Z' });
    expect(await standing(key)).toBe('FORBIDDEN');
    const { apiKey } = await ask(update, { apiKeyId: id, expiresAt: null });
    expect(apiKey.expiresAt).toBeNull();
  });

  it('are bound to addresses: the socket tells where they come from, not a header', async () => {
    const here = await app.make.apiKey({ addresses: ['127.0.0.0/8', '::1'] });
    const elsewhere = await app.make.apiKey({ addresses: ['203.0.113.7', '2001:db8::/32'] });
    const forged = { 'x-forwarded-for': '203.0.113.7' };
    const told = async (key: string, of: App, headers = {}) => {
      const { body } = await of.graphql('{ viewer { id } }', undefined, { token: key, headers });
      return body.errors[0].message;
    };
    expect(await told(here.key, app)).not.toContain('address');
    expect(await told(elsewhere.key, app)).toContain('may not be used from this address');
    expect(await told(elsewhere.key, app, forged)).toContain('may not be used from this address');
    const behindProxy = await startApp({ database: app.database, settings: { ...secretsOf(app), trustProxy: true } });
    expect(await told(elsewhere.key, behindProxy, forged)).not.toContain('address');
    expect(await told(elsewhere.key, behindProxy, { 'x-forwarded-for': '2001:db8::1' })).not.toContain('address');
    expect(await told(elsewhere.key, behindProxy, { 'x-forwarded-for': '::ffff:203.0.113.7' })).not.toContain(
      'address',
    );
    expect(await told(elsewhere.key, behindProxy, { 'x-forwarded-for': '203.0.113.8' })).toContain('address');
    await behindProxy.stop();
    const refused = await app.rest('conversations.list', {}, { token: elsewhere.key });
    expect([refused.status, refused.body]).toEqual([403, { message: expect.stringContaining('address') }]);
  });

  it('tell when they were last used', async () => {
    const { id, key } = await app.make.apiKey();
    await standing(key);
    const used = await until(async () => {
      const { node } = await app.data(
        'query ($id: ID!) { node(id: $id) { ... on ApiKey { lastUsedAt } } }',
        { id },
        admin,
      );
      return node.lastUsedAt;
    });
    expect(Math.abs(Date.parse(used) - Date.now())).toBeLessThan(60_000);
  });

  it.each<[object, string]>([
    [{ name: '' }, 'name'],
    [{ name: 'a\nb' }, 'name'],
    [{ addresses: ['300.1.1.1'] }, 'addresses[0]'],
    [{ addresses: ['10.0.0.0/33'] }, 'addresses[0]'],
    [{ addresses: ['::1', 'fe80::1%eth0'] }, 'addresses[1]'],
    [{ addresses: ['10.0.0.0/8/9'] }, 'addresses[0]'],
    [{ addresses: Array.from({ length: 101 }, () => '10.0.0.1') }, 'addresses'],
    [{ variables: [] }, 'variables'],
    [{ variables: { a: 'x'.repeat(17_000) } }, 'variables'],
    [{ expiresAt: '2020-01-01T00:00:00Z' }, 'expiresAt'],
  ])('are refused with %j', async (wrong, path) => {
    const { code, errors } = await refusal(create, { name: 'x', kind: 'SECRET', ...wrong });
    expect([code, errors[0].path]).toEqual(['BAD_USER_INPUT', path]);
  });

  it('are changed where something is given, and only there', async () => {
    const { id } = await app.make.apiKey({ variables: { a: 1 }, addresses: ['10.0.0.1'] });
    expect((await ask(update, { apiKeyId: id, name: 'new' })).apiKey).toMatchObject({
      name: 'new',
      variables: { a: 1 },
      addresses: ['10.0.0.1'],
    });
    expect((await ask(update, { apiKeyId: id, variables: { b: 2 }, addresses: [] })).apiKey).toMatchObject({
      name: 'new',
      variables: { b: 2 },
      addresses: [],
    });
    expect((await refusal(update, { apiKeyId: '019b0000-0000-7000-8000-000000000000', name: 'x' })).code).toBe(
      'NOT_FOUND',
    );
  });

  it('are listed by page, the newest first', async () => {
    const made = [];
    for (let count = 0; count < 3; count += 1) made.unshift((await app.make.apiKey()).id);
    const page = async (args: string) =>
      (await app.data(`{ apiKeys(${args}) { nodes { id } pageInfo { endCursor hasNextPage } } }`, {}, admin)).apiKeys;
    const first = await page('first: 2');
    expect(first.nodes.map(({ id }: Json) => id)).toEqual(made.slice(0, 2));
    const second = await page(`first: 1, after: "${first.pageInfo.endCursor}"`);
    expect(second.nodes).toEqual([{ id: made[2] }]);
  });

  it('stand in groups', async () => {
    const group = 'group { id name apiKeys { id } }';
    const createGroup = `mutation ($input: CreateApiKeyGroupInput!) { createApiKeyGroup(input: $input) { ${group} } }`;
    const updateGroup = `mutation ($input: UpdateApiKeyGroupInput!) { updateApiKeyGroup(input: $input) { ${group} } }`;
    const [one, two] = [await app.make.apiKey(), await app.make.apiKey()];
    const made = (await ask(createGroup, { name: 'partners', apiKeyIds: [one.id] })).group;
    expect(made).toMatchObject({ name: 'partners', apiKeys: [{ id: one.id }] });
    const changed = (await ask(updateGroup, { groupId: made.id, name: 'friends', apiKeyIds: [one.id, two.id, two.id] }))
      .group;
    expect(changed).toEqual({ id: made.id, name: 'friends', apiKeys: [{ id: two.id }, { id: one.id }] });
    expect((await ask(updateGroup, { groupId: made.id, apiKeyIds: [] })).group.apiKeys).toEqual([]);
    expect((await refusal(createGroup, { name: 'friends' })).code).toBe('CONFLICT');
    expect(
      (await refusal(updateGroup, { groupId: made.id, apiKeyIds: ['019b0000-0000-7000-8000-000000000000'] })).code,
    ).toBe('NOT_FOUND');
    expect((await app.data('{ apiKeyGroups { name } }', {}, admin)).apiKeyGroups).toEqual([{ name: 'friends' }]);
    const remove = 'mutation ($input: ApiKeyGroupInput!) { deleteApiKeyGroup(input: $input) { deletedId } }';
    expect((await ask(remove, { groupId: made.id })).deletedId).toBe(made.id);
    expect((await refusal(remove, { groupId: made.id })).code).toBe('NOT_FOUND');
    expect(await standing(one.key)).toBe('FORBIDDEN');
  });
});

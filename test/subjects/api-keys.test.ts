import { createHash } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { authenticate } from '../../src/domain/authentication.ts';
import { type App, type Json, startApp } from '../support/app.ts';
import { expectRefused } from '../support/forged-tokens.ts';
import { tableTexts } from '../support/table-texts.ts';
import { until } from '../support/until.ts';

const create = `mutation ($input: CreateApiKeyInput!) { createApiKey(input: $input) { key apiKey {
  id legacyId name kind role last4 variables allowedCidrs expiresAt lastUsedAt revokedAt createdAt createdBy { legacyId } groups { name } } } }`;
const update = `mutation ($input: UpdateApiKeyInput!) { updateApiKey(input: $input) {
  apiKey { name variables allowedCidrs expiresAt } } }`;
const revoke =
  'mutation ($input: ApiKeyInput!) { revokeApiKey(input: $input) { changed apiKey { revokedAt legacyId } } }';
const list = `query ($first: Int, $after: Cursor, $last: Int, $before: Cursor, $groupId: ID) {
  apiKeys(first: $first, after: $after, last: $last, before: $before, groupId: $groupId) {
    nodes { legacyId name } edges { cursor } pageInfo { hasNextPage hasPreviousPage startCursor endCursor } total } }`;

describe('API keys', () => {
  let app: App;
  let admin: { id: string; token: string };
  let nowMs = Date.now();
  const keyIn = (at: App, token: string, address = '127.0.0.1') =>
    authenticate(at.core, { authorization: `Bearer ${token}`, address });
  const refusal = async (input: unknown, document = create) => {
    const { body } = await app.graphql(document, { input }, { token: admin.token });
    const [error] = body.errors ?? [];
    return [error?.extensions.code, ...(error?.extensions.errors ?? []).map(({ path }: Json) => path)];
  };
  /** What a route says to the key: it is known and may not (a message), or it is not known (no body). */
  const standing = async (at: App, token: string, headers?: Record<string, string>) => {
    const { status, body, text } = await at.rest('conversations.list', {}, { token, headers });
    expect(status).toBe(403);
    return text === '' ? 'unknown' : body.message;
  };
  const known = 'this token may not do that: it takes the token of a user';

  beforeAll(async () => {
    app = await startApp({ settings: { role: 'gateway' }, now: () => new Date(nowMs) });
    admin = await app.make.admin();
  });
  afterAll(() => app.stop());

  it('are shown once, and never again', async () => {
    const input = { name: 'Our shop', kind: 'SECRET', variables: { shop: { id: 7 } } };
    const { createApiKey } = await app.data(create, { input }, admin.token);
    const { key, apiKey } = createApiKey;
    expect(key).toMatch(/^sk_[\w-]{43}$/);
    expect(apiKey).toEqual({
      id: Buffer.from(`ApiKey:${apiKey.legacyId}`).toString('base64url'),
      legacyId: expect.any(String),
      name: 'Our shop',
      kind: 'SECRET',
      role: 'EDITOR',
      last4: key.slice(-4),
      variables: { shop: { id: 7 } },
      allowedCidrs: [],
      expiresAt: null,
      lastUsedAt: null,
      revokedAt: null,
      createdAt: new Date(nowMs).toISOString(),
      createdBy: { legacyId: admin.id },
      groups: [],
    });
    expect(await standing(app, key)).toBe(known);
    const stored = await tableTexts(app);
    expect(stored).toContain(createHash('sha256').update(key).digest('hex'));
    expect(stored).not.toContain(key);
    expect(stored).not.toContain(key.slice(3));
    const again = await app.graphql(
      '{ apiKeys(first: 100) { nodes { id name last4 variables } } }',
      {},
      { token: admin.token },
    );
    expect(again.text).toContain('Our shop');
    expect(again.text).not.toContain(key.slice(3));
    expect(app.logged.join('')).not.toContain(key.slice(3));
  });

  it.each([
    ['SECRET', 'sk_', 'EDITOR'],
    ['PUBLIC', 'pk_', 'SUPPORT'],
    ['ENDPOINT', 'ak_', 'SUPPORT'],
  ])('of the kind %s begin with %s and are %s', async (kind, prefix, role) => {
    const { token, id } = await app.make.apiKey({ kind, variables: { place: 'Berlin' } });
    expect(token.startsWith(prefix)).toBe(true);
    expect(await keyIn(app, token)).toEqual({
      kind: 'apiKey',
      keyId: id,
      keyName: expect.any(String),
      keyKind: kind,
      role,
      variables: { place: 'Berlin' },
    });
  });

  it('of back ends have the role that is asked for', async () => {
    expect(await keyIn(app, (await app.make.apiKey({ role: 'ADMIN' })).token)).toMatchObject({ role: 'ADMIN' });
    expect(await refusal({ name: 'x', kind: 'PUBLIC', role: 'ADMIN' })).toEqual(['BAD_USER_INPUT', 'role']);
  });

  it.each<[string, Record<string, unknown>, string]>([
    ['an empty name', { name: ' ' }, 'name'],
    ['a name of two lines', { name: 'a\nb' }, 'name'],
    ['a name of 256 characters', { name: 'x'.repeat(256) }, 'name'],
    ['variables that are a list', { variables: [] }, 'variables'],
    ['variables that are a text', { variables: 'x' }, 'variables'],
    ['variables over 16 KiB', { variables: { x: 'x'.repeat(16_384) } }, 'variables'],
    ['101 addresses', { allowedCidrs: Array(101).fill('203.0.113.7') }, 'allowedCidrs'],
    ['what is no address', { allowedCidrs: ['203.0.113.7', 'example.com'] }, 'allowedCidrs[1]'],
    ['a prefix that is too long', { allowedCidrs: ['203.0.113.0/33'] }, 'allowedCidrs[0]'],
    ['an end that is over', { expiresAt: '2020-01-01T00:00:00Z' }, 'expiresAt'],
    ['an end in the year 10000', { expiresAt: 253_402_300_800_000 }, 'expiresAt'],
  ])('are not made, and not changed, with %s', async (_what, fields, path) => {
    const { id } = await app.make.apiKey();
    expect(await refusal({ name: 'x', kind: 'SECRET', ...fields })).toEqual(['BAD_USER_INPUT', path]);
    expect(await refusal({ apiKeyId: id, ...fields }, update)).toEqual(['BAD_USER_INPUT', path]);
  });

  it('are changed in what is given, and keep the rest', async () => {
    const expiresAt = new Date(nowMs + 60_000).toISOString();
    const first = { name: 'before', variables: { a: 1 }, allowedCidrs: ['203.0.113.7/24'], expiresAt };
    const { id: apiKeyId } = await app.make.apiKey(first);
    const changed = async (fields: object) =>
      (await app.data(update, { input: { apiKeyId, ...fields } }, admin.token)).updateApiKey.apiKey;
    const stored = { ...first, allowedCidrs: ['203.0.113.0/24'] };
    expect(await changed({})).toEqual(stored);
    expect(await changed({ name: 'after' })).toEqual({ ...stored, name: 'after' });
    expect(await changed({ variables: { b: 2 }, allowedCidrs: [] })).toEqual({
      name: 'after',
      variables: { b: 2 },
      allowedCidrs: [],
      expiresAt,
    });
    expect(await changed({ expiresAt: null })).toMatchObject({ name: 'after', expiresAt: null });
    expect(await refusal({ apiKeyId: '019a0000-0000-7000-8000-000000000000' }, update)).toEqual(['NOT_FOUND']);
  });

  it('end on all processes with their revocation', async () => {
    const { jwtSecret } = app.core.settings;
    const other = await startApp({ settings: { role: 'gateway', jwtSecret }, database: app.database });
    const { token, id } = await app.make.apiKey();
    expect(await standing(app, token)).toBe(known);
    expect(await standing(other, token)).toBe(known);
    const ended = await other.data(revoke, { input: { apiKeyId: id } }, admin.token);
    expect(ended.revokeApiKey).toEqual({ changed: true, apiKey: { legacyId: id, revokedAt: expect.any(String) } });
    for (const one of [app, other]) await expectRefused(one, token);
    const again = await app.data(revoke, { input: { apiKeyId: id } }, admin.token);
    expect(again.revokeApiKey).toEqual({ ...ended.revokeApiKey, changed: false });
    expect(await refusal({ apiKeyId: id, name: 'x' }, update)).toEqual(['CONFLICT']);
    expect(await refusal({ apiKeyId: '019a0000-0000-7000-8000-000000000000' }, revoke)).toEqual(['NOT_FOUND']);
    await other.stop();
  });

  it('end at their time, and live again when it is moved', async () => {
    const { token, id } = await app.make.apiKey({ expiresAt: new Date(nowMs + 10_000).toISOString() });
    expect(await standing(app, token)).toBe(known);
    nowMs += 10_000;
    await expectRefused(app, token);
    await app.data(update, { input: { apiKeyId: id, expiresAt: null } }, admin.token);
    expect(await standing(app, token)).toBe(known);
  });

  it('that nobody made are refused without a word', async () => {
    const { token } = await app.make.apiKey();
    const forged = [`${token}x`, token.replace('sk_', 'pk_'), 'sk_', 'sk_ä', `ak_${'x'.repeat(43)}`, token.slice(3)];
    for (const one of forged.slice(0, 3)) await expectRefused(app, one);
    for (const one of forged) await expect(keyIn(app, one)).rejects.toThrow('a valid token is needed');
  });

  it('say when they were last used, at most once a minute', async () => {
    const { token, id } = await app.make.apiKey();
    const lastUsed = async () => {
      const node = await app.data(
        'query ($id: ID!) { node(id: $id) { ... on ApiKey { lastUsedAt } } }',
        { id: Buffer.from(`ApiKey:${id}`).toString('base64url') },
        admin.token,
      );
      return node.node.lastUsedAt;
    };
    const used = async (at: number) => {
      nowMs = at;
      await keyIn(app, token);
      await Promise.all(app.core.background);
      return lastUsed();
    };
    const start = nowMs;
    expect(await lastUsed()).toBeNull();
    expect(await used(start)).toBe(new Date(start).toISOString());
    expect(await used(start + 59_999)).toBe(new Date(start).toISOString());
    expect(await used(start + 60_000)).toBe(new Date(start + 60_000).toISOString());
  });

  it('are taken from their addresses only, and a refused use does not count', async () => {
    const { token, id } = await app.make.apiKey({ allowedCidrs: ['203.0.113.0/24', '2001:db8::/32', '198.51.100.7'] });
    for (const address of ['203.0.113.9', '::ffff:203.0.113.9', '2001:db8::1', '198.51.100.7']) {
      expect([address, (await keyIn(app, token, address)).kind]).toEqual([address, 'apiKey']);
    }
    const before = await tableTexts(app, ['api_key']);
    nowMs += 3_600_000;
    for (const address of ['203.0.114.9', '2001:db9::1', '198.51.100.8', '127.0.0.1', 'unknown', '']) {
      await expect(keyIn(app, token, address)).rejects.toMatchObject({ code: 'FORBIDDEN' });
    }
    await Promise.all(app.core.background);
    expect(await tableTexts(app, ['api_key'])).toBe(before);
    expect(before).toContain(id);
  });

  it('judge the address of the socket, or what the trusted proxy wrote', async () => {
    const { token } = await app.make.apiKey({ allowedCidrs: ['203.0.113.0/24'] });
    const here = await app.make.apiKey({ allowedCidrs: ['127.0.0.1'] });
    const elsewhere = 'this key may not be used from this address';
    const from = (address: string) => ({ 'x-forwarded-for': address });
    expect(await standing(app, token, from('203.0.113.7'))).toBe(elsewhere);
    expect(await standing(app, here.token, from('203.0.113.7'))).toBe(known);
    const behind = await startApp({ settings: { role: 'gateway', trustProxy: true }, database: app.database });
    expect(await standing(behind, token, from('203.0.113.7'))).toBe(known);
    expect(await standing(behind, token, from('203.0.113.7, 198.51.100.7'))).toBe(elsewhere);
    expect(await standing(behind, token, from('203.0.113.7:4711, x'))).toBe(elsewhere);
    expect(await standing(behind, token)).toBe(elsewhere);
    const { status, body } = await behind.graphql('{ viewer { id } }', {}, { token });
    expect([status, body.errors[0].extensions.code]).toEqual([403, 'FORBIDDEN']);
    await behind.stop();
  });

  it('are listed by page, the newest first, in both directions', async () => {
    const own = await startApp({ settings: { role: 'gateway' } });
    const { token } = await own.make.admin();
    const made: string[] = [];
    for (let count = 0; count < 5; count += 1) made.unshift((await own.make.apiKey({ name: `key ${count}` })).id);
    const page = async (variables: object) => {
      const { apiKeys } = await own.data(list, variables, token);
      expect(apiKeys.total).toBe(5);
      return { ids: apiKeys.nodes.map(({ legacyId }: Json) => legacyId), ...apiKeys.pageInfo };
    };
    const first = await page({ first: 2 });
    expect(first).toMatchObject({ ids: made.slice(0, 2), hasNextPage: true, hasPreviousPage: false });
    const second = await page({ first: 2, after: first.endCursor });
    expect(second).toMatchObject({ ids: made.slice(2, 4), hasNextPage: true, hasPreviousPage: true });
    const last = await page({ first: 2, after: second.endCursor });
    expect(last).toMatchObject({ ids: made.slice(4), hasNextPage: false, hasPreviousPage: true });
    const back = await page({ last: 2, before: last.startCursor });
    expect(back).toMatchObject({ ids: made.slice(2, 4), hasNextPage: true, hasPreviousPage: true });
    expect(await page({ after: made[3] })).toMatchObject({ ids: made.slice(3), hasPreviousPage: true });
    expect(await page({ after: '4' })).toMatchObject({ ids: made.slice(4), hasPreviousPage: true });
    for (const after of ['nonsense', '019a0000-0000-7000-8000-000000000000']) {
      const { body } = await own.graphql(list, { after }, { token });
      expect(body.errors[0].extensions).toMatchObject({ code: 'BAD_USER_INPUT', errors: [{ path: 'after' }] });
    }
    await own.stop();
  });

  it('are at most 1,000 live ones', async () => {
    const own = await startApp({ settings: { role: 'gateway' } });
    const { token } = await own.make.admin();
    await own.core.em.fork().execute(
      `insert into api_key (id, name, kind, role, hash, last4, expires_at) select gen_random_uuid(), 'x', 'SECRET', 'EDITOR', n::text, 'xxxx',
         case when n = 1000 then now() - interval '1 day' end from generate_series(1, 1000) n`,
    );
    const last = await own.make.apiKey();
    const tried = await own.graphql(create, { input: { name: 'x', kind: 'SECRET' } }, { token });
    expect(tried.body.errors[0].extensions).toMatchObject({ code: 'BAD_USER_INPUT', errors: [{ path: 'name' }] });
    const [expired] = await own.core.em.fork().execute<{ id: string }[]>("select id from api_key where hash = '1000'");
    const revived = await own.graphql(update, { input: { apiKeyId: expired!.id, expiresAt: null } }, { token });
    expect(revived.body.errors[0].extensions.errors).toEqual([expect.objectContaining({ path: 'expiresAt' })]);
    await own.data(revoke, { input: { apiKeyId: last.id } }, token);
    await own.make.apiKey();
    await own.stop();
  });

  it('are named where calls of the older contracts are counted', async () => {
    const { token } = await app.make.apiKey({ name: 'Our shop, counted' });
    const row = { name: 'conversations.list', field: 'conversations' };
    app.core.legacyCalls.note(row, await keyIn(app, token));
    const { legacyCalls } = await app.data('{ legacyCalls { name callerKind callerName calls } }', {}, admin.token);
    const counted = { name: row.name, callerKind: 'KEY', callerName: 'Our shop, counted', calls: 1 };
    expect(legacyCalls).toContainEqual(counted);
  });

  it('are seen by administrators only, by their opaque id too', async () => {
    const agent = await app.make.user();
    const { id } = await app.make.apiKey({ name: 'canary' });
    const { createApiKeyGroup } = await app.data(
      'mutation { createApiKeyGroup(input: { name: "canary" }) { group { legacyId } } }',
      {},
      admin.token,
    );
    const none = '019a0000-0000-7000-8000-000000000000';
    for (const [type, known] of [
      ['ApiKey', id],
      ['ApiKeyGroup', createApiKeyGroup.group.legacyId],
    ]) {
      for (const one of [known, none]) {
        const document = '($id: ID!) { node(id: $id) { id __typename } nodes(ids: [$id]) { id } }';
        const variables = { id: Buffer.from(`${type}:${one}`).toString('base64url') };
        const { body, text } = await app.graphql(`query ${document}`, variables, { token: agent.token });
        expect([one, body.errors.map((error: Json) => error.extensions.code)]).toEqual([
          one,
          ['FORBIDDEN', 'FORBIDDEN'],
        ]);
        expect(text).not.toContain('canary');
        const seen = await app.data(`query ${document}`, variables, admin.token);
        expect(seen.node?.__typename ?? null).toBe(one === none ? null : type);
      }
    }
  });
});

describe('groups of API keys', () => {
  let app: App;
  let token: string;
  const group = '{ group { legacyId name } }';
  const run = async (field: string, type: string, input: unknown) => {
    const selection = field === 'deleteApiKeyGroup' ? '{ deletedId }' : group;
    const { body } = await app.graphql(
      `mutation ($input: ${type}!) { ${field}(input: $input) ${selection} }`,
      { input },
      { token },
    );
    const [error] = body.errors ?? [];
    if (error) return { code: error.extensions.code, path: error.extensions.errors?.[0].path };
    return body.data[field].group ?? body.data[field];
  };
  const make = (name: string) => run('createApiKeyGroup', 'CreateApiKeyGroupInput', { name });
  const keysOf = async (groupId: string) =>
    (await app.data(list, { groupId }, token)).apiKeys.nodes.map(({ legacyId }: Json) => legacyId);

  beforeAll(async () => {
    app = await startApp({ settings: { role: 'gateway' } });
    ({ token } = await app.make.admin());
  });
  afterAll(() => app.stop());

  it('have keys put in and taken out, each once', async () => {
    const { legacyId: groupId } = await make('banks');
    const [one, two] = [await app.make.apiKey({ kind: 'ENDPOINT' }), await app.make.apiKey({ kind: 'ENDPOINT' })];
    await app.make.apiKey();
    const change = (field: string, ...apiKeyIds: string[]) =>
      run(field, 'ApiKeyGroupKeysInput', { groupId, apiKeyIds });
    await change('addApiKeysToGroup', one.id, two.id);
    expect(await change('addApiKeysToGroup', two.id)).toEqual({ legacyId: groupId, name: 'banks' });
    expect(await keysOf(groupId)).toEqual([two.id, one.id]);
    await change('removeApiKeysFromGroup', two.id, '019a0000-0000-7000-8000-000000000000');
    expect(await keysOf(groupId)).toEqual([one.id]);
    expect(await change('addApiKeysToGroup', '019a0000-0000-7000-8000-000000000000')).toMatchObject({
      code: 'NOT_FOUND',
    });
    expect(await change('addApiKeysToGroup')).toEqual({ code: 'BAD_USER_INPUT', path: 'apiKeyIds' });
    expect(await change('removeApiKeysFromGroup', 'x')).toEqual({ code: 'BAD_USER_INPUT', path: 'apiKeyIds[0]' });
  });

  it('are shown with each key, in one statement for all', async () => {
    const key = await app.make.apiKey();
    for (const name of ['b', 'a']) {
      const { legacyId: groupId } = await make(name);
      await run('addApiKeysToGroup', 'ApiKeyGroupKeysInput', { groupId, apiKeyIds: [key.id] });
    }
    const { apiKeys } = await app.data('{ apiKeys(first: 1) { nodes { groups { name } } } }', {}, token);
    expect(apiKeys.nodes).toEqual([{ groups: [{ name: 'a' }, { name: 'b' }] }]);
  });

  it('have names of their own, are renamed and deleted; their keys stay', async () => {
    const made = await make('partners');
    expect(await make('partners')).toMatchObject({ code: 'CONFLICT' });
    expect(await make('two\nlines')).toEqual({ code: 'BAD_USER_INPUT', path: 'name' });
    const other = await make('shops');
    const rename = (name: string) =>
      run('renameApiKeyGroup', 'RenameApiKeyGroupInput', { groupId: other.legacyId, name });
    expect(await rename('partners')).toMatchObject({ code: 'CONFLICT' });
    expect(await rename('stores')).toEqual({ legacyId: other.legacyId, name: 'stores' });
    const key = await app.make.apiKey();
    const groupId = made.legacyId;
    await run('addApiKeysToGroup', 'ApiKeyGroupKeysInput', { groupId, apiKeyIds: [key.id] });
    const deletedId = Buffer.from(`ApiKeyGroup:${groupId}`).toString('base64url');
    expect(await run('deleteApiKeyGroup', 'ApiKeyGroupInput', { groupId })).toEqual({ deletedId });
    expect(await run('deleteApiKeyGroup', 'ApiKeyGroupInput', { groupId })).toMatchObject({ code: 'NOT_FOUND' });
    const { apiKeyGroups } = await app.data('{ apiKeyGroups { name } }', {}, token);
    const names = apiKeyGroups.map(({ name }: Json) => name);
    expect(names).toEqual([...names].sort());
    expect(names).not.toContain('partners');
    expect(await authenticate(app.core, { authorization: key.token, address: 'x' })).toMatchObject({ keyId: key.id });
    const { body } = await app.graphql(list, { groupId }, { token });
    expect(body.errors[0].extensions.code).toBe('NOT_FOUND');
  });

  it('are at most 100', async () => {
    const tried = await until(async () => {
      const answer = await make(`group ${Math.random()}`);
      return answer.code ? answer : undefined;
    });
    expect(tried).toEqual({ code: 'BAD_USER_INPUT', path: 'name' });
    expect((await app.data('{ apiKeyGroups { id } }', {}, token)).apiKeyGroups).toHaveLength(100);
  });
});

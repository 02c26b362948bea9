import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { decryptSecret } from '../../src/domain/secrets.ts';
import { type App, type Json, startApp } from '../support/app.ts';
import { tableTexts } from '../support/table-texts.ts';

const fields = '{ secret { id legacyId name origin createdAt updatedAt } }';
const create = `mutation ($input: CreateSecretInput!) { createSecret(input: $input) ${fields} }`;
const update = `mutation ($input: UpdateSecretInput!) { updateSecret(input: $input) ${fields} }`;
const remove = 'mutation ($input: SecretInput!) { deleteSecret(input: $input) { deletedId } }';
const nobody = '019a0000-0000-7000-8000-000000000000';

describe('secrets', () => {
  let app: App;
  let token: string;
  let nowMs = Date.now();
  let made = 0;

  beforeAll(async () => {
    app = await startApp({ settings: { role: 'gateway' }, now: () => new Date(nowMs) });
    ({ token } = await app.make.admin());
  });
  afterAll(() => app.stop());

  const given = (of: object = {}) => {
    made += 1;
    return { name: `crm_${made}`, origin: 'https://crm.example.com', value: 'canary-value', ...of };
  };
  const store = async (of: object = {}) => (await app.data(create, { input: given(of) }, token)).createSecret.secret;
  const change = async (input: object) => (await app.data(update, { input }, token)).updateSecret.secret;
  const refusal = async (document: string, input: unknown) => {
    const { body } = await app.graphql(document, { input }, { token });
    const [error] = body.errors ?? [];
    return [error?.extensions.code, ...(error?.extensions.errors ?? []).map(({ path }: Json) => path)];
  };
  /** The stored value, opened for an origin. */
  const opened = async (id: string, origin: string) => {
    const [row] = await app.core.em
      .fork()
      .execute<{ value_encrypted: string }[]>('select value_encrypted from secret where id = ?', [id]);
    return decryptSecret(app.core.settings, `secret ${id} ${origin}`, row!.value_encrypted);
  };

  it('are written, and shown without their value', async () => {
    const secret = await store({ value: 'canary-of-the-first' });
    expect(secret).toEqual({
      id: Buffer.from(`Secret:${secret.legacyId}`).toString('base64url'),
      legacyId: expect.any(String),
      name: `crm_${made}`,
      origin: 'https://crm.example.com',
      createdAt: new Date(nowMs).toISOString(),
      updatedAt: new Date(nowMs).toISOString(),
    });
    expect(await opened(secret.legacyId, secret.origin)).toBe('canary-of-the-first');
    const { secrets } = await app.data('{ secrets { name origin createdAt updatedAt } }', {}, token);
    expect(secrets).toContainEqual({ ...secret, id: undefined, legacyId: undefined });
    for (const field of ['value', 'valueEncrypted', 'value_encrypted']) {
      const { body } = await app.graphql(`{ secrets { ${field} } }`, {}, { token });
      expect(body.errors[0].extensions.code).toBe('GRAPHQL_VALIDATION_FAILED');
    }
    expect(await tableTexts(app)).not.toContain('canary-of-the-first');
    expect(app.logged.join('')).not.toContain('canary-of-the-first');
  });

  it('do not open for another origin or in another row', async () => {
    const { legacyId, origin } = await store();
    await expect(opened(legacyId, 'https://evil.example.com')).rejects.toThrow();
    const other = await store();
    await app.core.em
      .fork()
      .execute('update secret set value_encrypted = (select value_encrypted from secret where id = ?) where id = ?', [
        legacyId,
        other.legacyId,
      ]);
    await expect(opened(other.legacyId, origin)).rejects.toThrow();
  });

  it.each([
    ['https://CRM.example.com:443', 'https://crm.example.com'],
    ['http://crm.example.com:80/', 'http://crm.example.com'],
    ['https://crm.example.com:8443', 'https://crm.example.com:8443'],
    ['https://[2001:DB8::1]:8443', 'https://[2001:db8::1]:8443'],
    ['https://münchen.example', 'https://xn--mnchen-3ya.example'],
    ['http://0x7f.1', 'http://127.0.0.1'],
  ])('take the origin %s as %s', async (origin, normal) => {
    expect((await store({ origin })).origin).toBe(normal);
  });

  it.each<[string, object, string]>([
    ['an empty name', { name: '' }, 'name'],
    ['a name in upper case', { name: 'CRM' }, 'name'],
    ['a name with a dash', { name: 'crm-key' }, 'name'],
    ['a name of 65 characters', { name: 'x'.repeat(65) }, 'name'],
    ['an origin that is none', { origin: 'crm.example.com' }, 'origin'],
    ['another scheme', { origin: 'ftp://crm.example.com' }, 'origin'],
    ['a path', { origin: 'https://crm.example.com/api' }, 'origin'],
    ['a query', { origin: 'https://crm.example.com?x' }, 'origin'],
    ['an empty query', { origin: 'https://crm.example.com/?' }, 'origin'],
    ['a fragment', { origin: 'https://crm.example.com#x' }, 'origin'],
    ['credentials', { origin: 'https://me:secret@crm.example.com' }, 'origin'],
    ['a tab inside', { origin: 'https://crm.exam\tple.com' }, 'origin'],
    ['a long origin', { origin: `https://${'x'.repeat(300)}` }, 'origin'],
    ['an empty value', { value: '' }, 'value'],
    ['a value with NUL', { value: 'a\0b' }, 'value'],
    ['a value over 8 KiB', { value: 'ä'.repeat(4_097) }, 'value'],
  ])('are not stored with %s', async (_what, of, path) => {
    // NUL and halves of surrogates are refused at the door already.
    const [code, ...paths] = await refusal(create, given(of));
    expect(code).toBe('BAD_USER_INPUT');
    if (!JSON.stringify(of).includes('\\u0000')) expect(paths).toEqual([path]);
  });

  it('hold up to 8 KiB, line ends included', async () => {
    const value = `-----BEGIN-----\n${'x'.repeat(8_176)}`;
    const { legacyId, origin } = await store({ value });
    expect(await opened(legacyId, origin)).toBe(value);
  });

  it('get another value, and with it another origin', async () => {
    const { legacyId: secretId, createdAt, name } = await store();
    nowMs += 1_000;
    const updatedAt = new Date(nowMs).toISOString();
    expect(await change({ secretId, value: 'second' })).toMatchObject({ name, createdAt, updatedAt });
    expect(await opened(secretId, 'https://crm.example.com')).toBe('second');
    nowMs += 1_000;
    expect(await change({ secretId, origin: 'https://CRM.example.com/' })).toMatchObject({ updatedAt });
    expect(await refusal(update, { secretId, origin: 'https://evil.example.com' })).toEqual([
      'BAD_USER_INPUT',
      'value',
    ]);
    expect(await refusal(update, { secretId, origin: 'http://crm.example.com' })).toEqual(['BAD_USER_INPUT', 'value']);
    expect(await opened(secretId, 'https://crm.example.com')).toBe('second');
    const moved = await change({ secretId, origin: 'https://new.example.com', value: 'third' });
    expect(moved).toMatchObject({ origin: 'https://new.example.com', updatedAt: new Date(nowMs).toISOString() });
    expect(await opened(secretId, 'https://new.example.com')).toBe('third');
    expect(await refusal(update, { secretId, value: '' })).toEqual(['BAD_USER_INPUT', 'value']);
    expect(await refusal(update, { secretId: nobody, value: 'x' })).toEqual(['NOT_FOUND']);
  });

  it('have names of their own, and are gone when deleted', async () => {
    const { legacyId: secretId, id, name } = await store();
    expect(await refusal(create, given({ name }))).toEqual(['CONFLICT']);
    expect((await app.data(remove, { input: { secretId } }, token)).deleteSecret).toEqual({ deletedId: id });
    expect(await refusal(remove, { secretId })).toEqual(['NOT_FOUND']);
    expect((await store({ name })).name).toBe(name);
  });

  it('are found by administrators only, by their opaque id too', async () => {
    const { id, name } = await store();
    const agent = await app.make.user();
    const query = 'query ($id: ID!) { node(id: $id) { ... on Secret { name } } }';
    const { body } = await app.graphql(query, { id }, { token: agent.token });
    expect([body.data.node, body.errors[0].extensions.code]).toEqual([null, 'FORBIDDEN']);
    expect((await app.data(query, { id }, token)).node).toEqual({ name });
  });

  it('are at most 500', async () => {
    const own = await startApp({ settings: { role: 'gateway' } });
    const admin = await own.make.admin();
    await own.core.em
      .fork()
      .execute(
        "insert into secret (id, name, origin, value_encrypted) select gen_random_uuid(), 'n' || n, 'https://x', 'x' from generate_series(1, 499) n",
      );
    await own.data(create, { input: given() }, admin.token);
    const { body } = await own.graphql(create, { input: given() }, { token: admin.token });
    expect(body.errors[0].extensions).toMatchObject({ code: 'BAD_USER_INPUT', errors: [{ path: 'name' }] });
    await own.stop();
  });
});

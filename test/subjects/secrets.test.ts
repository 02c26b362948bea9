import { beforeAll, describe, expect, it } from '@jest/globals';
import { sql } from 'kysely';
import { decryptSecret } from '../../src/domain/secrets.ts';
import { rows } from '../../src/domain/statement.ts';
import { type App, type Json, startApp } from '../support/app.ts';

describe('secrets', () => {
  let app: App;
  let admin: string;
  beforeAll(async () => {
    app = await startApp();
    admin = (await app.make.admin()).token;
  });

  const canary = 'canary-5f3e9a';
  const shown = 'secret { id name origin createdAt updatedAt }';
  const create = `mutation ($input: CreateSecretInput!) { createSecret(input: $input) { ${shown} } }`;
  const update = `mutation ($input: UpdateSecretInput!) { updateSecret(input: $input) { ${shown} } }`;
  const remove = 'mutation ($input: SecretInput!) { deleteSecret(input: $input) { deletedId } }';
  const call = (document: string, input: object) => app.graphql(document, { input }, { token: admin });
  const made = async (name: string, value = canary): Promise<Json> =>
    (await call(create, { name, origin: 'https://api.example.com', value })).body.data.createSecret.secret;
  const stored = async (name: string): Promise<{ origin: string; value: string }> => {
    const [row] = await rows<{ origin: string; value_encrypted: string }>(
      app.core.em.fork(),
      sql`select origin, value_encrypted from secret where name = ${name}`,
    );
    return { origin: row!.origin, value: decryptSecret(app.core.settings, 'secret', row!.value_encrypted) };
  };

  it('are kept encrypted and never shown again', async () => {
    const { id } = await made('crm_key');
    expect(await stored('crm_key')).toEqual({ origin: 'https://api.example.com', value: canary });
    const answers = [
      await app.graphql('{ secrets { id name origin } }', undefined, { token: admin }),
      await app.graphql(
        'query ($id: ID!) { node(id: $id) { id ... on Secret { name origin } } }',
        { id },
        { token: admin },
      ),
    ];
    for (const { text } of answers) {
      expect(text).toContain('crm_key');
      expect(text).not.toContain(canary);
    }
    const row = await rows<{ text: string }>(app.core.em.fork(), sql`select t::text from secret t`);
    expect(JSON.stringify(row)).not.toContain(canary);
    expect(app.logged.filter((line) => line.includes(canary))).toEqual([]);
    const type = await app.graphql('{ __type(name: "Secret") { fields { name } } }', undefined, { token: admin });
    expect(type.body.data.__type.fields.map(({ name }: Json) => name)).not.toContain('value');
  });

  it('stay with the origin that they were given for', async () => {
    const { id } = await made('moved');
    const moved = await call(update, { secretId: id, origin: 'https://evil.example.com' });
    expect(moved.body.errors[0].extensions).toMatchObject({ code: 'BAD_USER_INPUT', errors: [{ path: 'value' }] });
    expect(await stored('moved')).toEqual({ origin: 'https://api.example.com', value: canary });
    await call(update, { secretId: id, origin: 'https://api.example.com:443' });
    await call(update, { secretId: id, value: 'second' });
    expect(await stored('moved')).toEqual({ origin: 'https://api.example.com', value: 'second' });
    await call(update, { secretId: id, origin: 'http://localhost:8080', value: 'third' });
    expect(await stored('moved')).toEqual({ origin: 'http://localhost:8080', value: 'third' });
  });

  it('have one name each, and go when they are deleted', async () => {
    const { id } = await made('twice');
    const again = await call(create, { name: 'twice', origin: 'https://a.example', value: 'x' });
    expect(again.body.errors[0].extensions.code).toBe('CONFLICT');
    expect((await call(remove, { secretId: id })).body.data.deleteSecret.deletedId).toBe(id);
    expect((await call(remove, { secretId: id })).body.errors[0].extensions.code).toBe('NOT_FOUND');
    expect((await call(update, { secretId: id, value: 'x' })).body.errors[0].extensions.code).toBe('NOT_FOUND');
  });

  it.each<[object, string]>([
    [{ name: 'Upper' }, 'name'],
    [{ name: 'a b' }, 'name'],
    [{ name: '' }, 'name'],
    [{ origin: 'api.example.com' }, 'origin'],
    [{ origin: 'ftp://api.example.com' }, 'origin'],
    [{ origin: 'https://api.example.com/path' }, 'origin'],
    [{ origin: 'https://api.example.com?x=1' }, 'origin'],
    [{ origin: 'https://api.example.com/#' }, 'origin'],
    [{ origin: 'https://user:pass@api.example.com' }, 'origin'],
    [{ value: '' }, 'value'],
    [{ value: 'x'.repeat(8_193) }, 'value'],
  ])('are refused with %j', async (wrong, path) => {
    const { body } = await call(create, { name: 'ok', origin: 'https://a.example', value: 'x', ...wrong });
    expect(body.errors[0].extensions).toMatchObject({ code: 'BAD_USER_INPUT', errors: [{ path }] });
  });
});

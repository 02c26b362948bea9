import { beforeAll, describe, expect, it } from '@jest/globals';
import { type App, type Json, startApp } from '../support/app.ts';
import { sample, shapeFaults } from '../support/shape.ts';

// The second half of Airy's HTTP document (2020): channels that are connected, tags, metadata; samples as it prints them.

let app: App;
let agent: { token: string };
let admin: { token: string };
beforeAll(async () => {
  app = await startApp();
  agent = await app.make.user();
  admin = await app.make.admin();
});

const unknownId = 'a688d36c-a85e-44af-bc02-4248c2c97622';
const info = async (conversation_id: string): Promise<Json> =>
  (await app.rest('conversations.info', { conversation_id }, agent)).body;
const call = async (name: string, request: Json, caller = agent) => {
  const { status, body } = await app.rest(name, request, caller);
  return [status, body];
};

describe('Tags', () => {
  const create = sample(`{
    "name": "Urgent",
    "color": "tag-red" // one of tag-red | tag-blue | tag-green | tag-purple
  }`);
  const made = async (): Promise<string> => (await app.rest('tags.create', create, agent)).body.id;
  const listed = async (id: string): Promise<Json> =>
    (await app.rest('tags.list', undefined, agent)).body.tags.find((tag: Json) => tag.id === id);

  it('tags.create: answers 201 with the id', async () => {
    const { status, body } = await app.rest('tags.create', create, agent);
    expect(status).toBe(201);
    expect(shapeFaults(sample(`{ "id": "TAG-UUID" }`), body)).toEqual([]);
    expect(body).toEqual({ id: expect.any(String), name: 'Urgent', color: 'tag-red' });
  });

  it('tags.create: takes a colour in every form and shows it in one', async () => {
    for (const color of ['tag-blue', 'BLUE', 'blue']) {
      expect((await app.rest('tags.create', { name: 'b', color }, agent)).body.color).toBe('tag-blue');
    }
    for (const color of ['tag-pink', '', 'tag-tag-red']) {
      const [status, body] = await call('tags.create', { name: 'b', color });
      expect([status, body.message]).toEqual([
        400,
        'Tag color must be one of [tag-red, tag-blue, tag-green, tag-purple]',
      ]);
    }
    expect((await call('tags.create', { name: ' ', color: 'red' }))[0]).toBe(400);
  });

  it('tags.update: changes what is given', async () => {
    const id = await made();
    const request = sample(`{
      "id": "TAG-ID",
      "name": "Urgent",
      "color": "tag-blue" // one of tag-red | tag-blue | tag-green | tag-purple
    }`);
    expect(await call('tags.update', { ...request, id })).toEqual([200, sample('{}')]);
    expect(await listed(id)).toEqual({ id, name: 'Urgent', color: 'tag-blue' });
    expect(await call('tags.update', { id, name: 'Later' })).toEqual([200, {}]);
    expect(await listed(id)).toEqual({ id, name: 'Later', color: 'tag-blue' });
    expect((await call('tags.update', { ...request, id: unknownId }))[0]).toBe(404);
    expect((await call('tags.update', { id, color: 'pink' }))[0]).toBe(400);
  });

  it('tags.list: answers with the same list under both names', async () => {
    const id = await made();
    const { status, body } = await app.rest('tags.list', undefined, agent);
    expect(status).toBe(200);
    const answer = sample(`{ "tags": [ { "id": "TAG-ID", "name": "name of the tag", "color": "RED" } ] }`);
    expect(shapeFaults(answer, body)).toEqual([]);
    expect(body.data).toEqual(body.tags);
    expect(body.tags).toContainEqual({ id, name: 'Urgent', color: 'tag-red' });
  });

  it('conversations.tag and .untag: the tag shows and is gone again; repeating is harmless', async () => {
    const [tag_id, { id: conversation_id }] = [await made(), await app.make.conversation()];
    const request = {
      ...sample(`{ "conversation_id": "CONVERSATION_ID", "tag_id": "TAG_ID" }`),
      conversation_id,
      tag_id,
    };
    for (const _ of [1, 2]) expect(await call('conversations.tag', request)).toEqual([200, sample('{}')]);
    expect(await info(conversation_id)).toMatchObject({ tags: [tag_id], metadata: { tags: { [tag_id]: '' } } });
    for (const _ of [1, 2]) expect(await call('conversations.untag', request)).toEqual([200, sample('{}')]);
    expect(await info(conversation_id)).toMatchObject({ tags: [], metadata: { tags: {} } });
    for (const name of ['conversations.tag', 'conversations.untag']) {
      expect((await call(name, {}))[0]).toBe(400);
      expect((await call(name, { ...request, tag_id: unknownId }))[0]).toBe(404);
      expect((await call(name, { ...request, conversation_id: unknownId }))[0]).toBe(404);
    }
  });

  it('tags.delete: conversations lose the tag', async () => {
    const [tag_id, { id: conversation_id }] = [await made(), await app.make.conversation()];
    await call('conversations.tag', { conversation_id, tag_id });
    const request = { ...sample(`{ "id": "ID-OF-THE-TAG" }`), id: tag_id };
    expect(await call('tags.delete', request)).toEqual([200, sample('{}')]);
    expect(await info(conversation_id)).toMatchObject({ tags: [], metadata: { tags: {} } });
    expect(await listed(tag_id)).toBeUndefined();
    expect((await call('tags.delete', request))[0]).toBe(404);
  });
});

describe('Metadata', () => {
  const request = sample(`{
    "conversation_id": "conversation-id",
    "key": "ad.id",
    "value": "Grace"
  }`);

  it('metadata.set: shows in contact.info and in metadata', async () => {
    const { id: conversation_id } = await app.make.conversation();
    expect(await call('metadata.set', { ...request, conversation_id })).toEqual([200, {}]);
    const shown = await info(conversation_id);
    expect(shown.contact.info).toEqual({ 'public.ad.id': 'Grace' });
    expect(shown.metadata.public).toEqual({ ad: { id: 'Grace' } });
  });

  it('metadata.set: keeps all JSON types; a later scalar beats an earlier subtree', async () => {
    const { id: conversation_id } = await app.make.conversation();
    const values = { text: 'x', number: 1.5, truth: false, list: [1, { a: null }], 'deep.object': { b: { c: 1 } } };
    for (const [key, value] of Object.entries(values)) await call('metadata.set', { conversation_id, key, value });
    expect((await info(conversation_id)).metadata.public).toEqual({
      text: 'x',
      number: 1.5,
      truth: false,
      list: [1, { a: null }],
      deep: { object: { b: { c: 1 } } },
    });
    await call('metadata.set', { conversation_id, key: 'deep', value: 5 });
    expect((await info(conversation_id)).metadata.public.deep).toBe(5);
  });

  it('metadata.set: 400 for a reserved key, a bad one and an unknown conversation', async () => {
    const { id: conversation_id } = await app.make.conversation();
    const reserved = [
      'contact',
      'tags.x',
      'unread_count',
      'state',
      'user_data',
      'public',
      'source',
      'error',
      'suggestions',
    ];
    for (const key of [...reserved, '', '.', 'a..b', 'x'.repeat(300)]) {
      expect([key, (await call('metadata.set', { conversation_id, key, value: 1 }))[0]]).toEqual([key, 400]);
    }
    expect((await call('metadata.set', { ...request, conversation_id: unknownId }))[0]).toBe(400);
    expect((await call('metadata.set', { conversation_id, key: 'big', value: 'x'.repeat(70_000) }))[0]).toBe(400);
  });

  it('metadata.remove: 200, also for a key never set; 400 for an unknown conversation', async () => {
    const { id: conversation_id } = await app.make.conversation();
    await call('metadata.set', { ...request, conversation_id });
    const removal = { ...sample(`{ "conversation_id": "conversation-id", "key": "ad.id" }`), conversation_id };
    expect(await call('metadata.remove', removal)).toEqual([200, {}]);
    expect(await info(conversation_id)).toMatchObject({ contact: { info: {} } });
    expect(await call('metadata.remove', removal)).toEqual([200, {}]);
    expect((await call('metadata.remove', { ...removal, conversation_id: unknownId }))[0]).toBe(400);
  });
});

describe('Channels', () => {
  it('channels.connect: 200, then 202 with the same channel; reconnecting keeps the id', async () => {
    const { sourceId: source } = await app.make.source();
    const request = {
      source,
      source_channel_id: 'page-1',
      token: 'canary',
      name: 'Page',
      image_url: 'http://x.example/p',
    };
    const { status, body } = await app.rest('channels.connect', request, admin);
    expect(status).toBe(200);
    expect(body).toMatchObject({
      id: expect.any(String),
      name: 'Page',
      source,
      source_id: source,
      source_channel_id: 'page-1',
      image_url: 'http://x.example/p',
      connected: true,
    });
    const again = await app.rest('channels.connect', { source, source_channel_id: 'page-1' }, admin);
    expect([again.status, again.body]).toEqual([202, body]);
    await app.rest('channels.disconnect', { channel_id: body.id }, admin);
    expect(await call('channels.connect', request, admin)).toEqual([200, body]);
    expect(again.text).not.toContain('canary');
  });

  it('channels.connect: 400 for a source that there is not, for google in one sentence, and for bad fields', async () => {
    const { sourceId: source } = await app.make.source();
    const connect = async (fields: Json) =>
      (await call('channels.connect', { source, source_channel_id: 'c', ...fields }, admin)) as [number, Json];
    expect(await connect({ source: 'nobody' })).toEqual([400, { message: 'source nobody not implemented' }]);
    const [status, { message }] = await connect({ source: 'google' });
    expect([status, message]).toEqual([400, expect.stringContaining('Google closed Business Messages on 2024-07-31')]);
    const [refused, { errors }] = await connect({ image_url: 'nowhere', name: '', token: 'x'.repeat(9_000) });
    expect([refused, errors.map((fault: Json) => fault.path).sort()]).toEqual([400, ['image_url', 'name', 'token']]);
  });

  it('channels.explore: nothing to list for a source that makes its channels itself, 400 for an unknown one', async () => {
    const request = sample(`{ "source": "facebook", "token": "authentication token" }`);
    const { sourceId: source } = await app.make.source();
    expect(await call('channels.explore', { ...request, source }, admin)).toEqual([200, { data: [] }]);
    expect(await call('channels.explore', { ...request, source: 'nobody' }, admin)).toEqual([
      400,
      { message: 'source nobody not implemented' },
    ]);
  });
});

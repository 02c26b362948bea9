import { createHash } from 'node:crypto';
import { beforeAll, describe, expect, it } from '@jest/globals';
import { loadSettings } from '../../src/config.ts';
import { type App, type Json, startApp } from '../support/app.ts';

// "Checklist of behaviours" and "Upstream's defects to beat" of the legacy contract: metadata, templates, ids, secrets.

let app: App;
let agent: { token: string };
let admin: { token: string };
beforeAll(async () => {
  app = await startApp();
  agent = await app.make.user();
  admin = await app.make.admin();
});

const info = async (conversation_id: string): Promise<Json> =>
  (await app.rest('conversations.info', { conversation_id }, agent)).body;
const messagesOf = async (conversation_id: string): Promise<Json[]> =>
  (await app.rest('messages.list', { conversation_id }, agent)).body.data;

describe('Metadata', () => {
  it('object and dot keys are the same', async () => {
    const source = await app.make.source();
    const channel = await app.make.channel(source);
    const ways: Record<string, [name: string, request: Json][]> = {
      objects: [
        ['metadata.upsert', { data: { erp: { id: 'abc', list: [1, { deep: true }], customer: { level: 3 } } } }],
        ['metadata.set', { key: 'ad', value: { id: 7, place: { city: 'Köln' } } }],
      ],
      dots: [
        ['metadata.upsert', { data: { 'erp.id': 'abc', 'erp.list': [1, { deep: true }] } }],
        ['metadata.upsert', { data: { 'erp.customer.level': 3 } }],
        ['metadata.set', { key: 'ad.id', value: 7 }],
        ['metadata.set', { key: 'ad.place.city', value: 'Köln' }],
      ],
    };
    const told = { objects: { plan: { name: 'pro', seats: 2 } }, dots: { 'plan.name': 'pro', 'plan.seats': 2 } };
    const shown: Json[] = [];
    const ids: string[] = [];
    for (const way of ['objects', 'dots'] as const) {
      const { id, sourceConversationId } = await app.make.conversation({ source, channel });
      for (const [name, request] of ways[way]!) {
        const { status } = await app.rest(
          name,
          { subject: 'conversation', id, conversation_id: id, ...request },
          agent,
        );
        expect([name, status]).toEqual([name, name === 'metadata.set' ? 200 : 204]);
      }
      const item = { namespace: 'conversation', source_id: sourceConversationId, metadata: told[way] };
      await app.make.webhook(source, { metadata: [item] });
      const { metadata, contact } = await info(id);
      shown.push({ user_data: metadata.user_data, public: metadata.public, plan: metadata.plan, info: contact.info });
      ids.unshift(id);
    }
    expect(shown[1]).toEqual(shown[0]);
    expect(shown[0]).toEqual({
      user_data: { erp: { id: 'abc', list: [1, { deep: true }], customer: { level: 3 } } },
      public: { ad: { id: 7, place: { city: 'Köln' } } },
      plan: { name: 'pro', seats: 2 },
      info: expect.objectContaining({ 'public.ad.id': 7, 'public.ad.place.city': 'Köln' }),
    });
    for (const filters of [
      'metadata.user_data.erp.id:abc',
      'metadata.user_data.erp.customer.level:3',
      'metadata.public.ad.place.city:köln',
      'metadata.ad.id:7',
      'metadata.plan.name:PRO',
    ]) {
      const { body } = await app.rest('conversations.list', { filters }, agent);
      expect([filters, body.data.map(({ id }: Json) => id).sort()]).toEqual([filters, [...ids].sort()]);
    }
  });
});

describe('Templates', () => {
  it('list by source and by part of the name: those of other sources are not in it', async () => {
    for (const [source, name] of [
      ['shop.a', 'Good morning'],
      ['shop.a', 'Good night'],
      ['shop.b', 'Good morning'],
      ['shop', 'Good evening'],
    ]) {
      const { status } = await app.rest('templates.create', { source, name, content: { text: 'x' } }, admin);
      expect(status).toBe(201);
    }
    const list = async (request: Json) => {
      const { status, body } = await app.rest('templates.list', request, agent);
      return [status, body.data.map((one: Json) => [one.source, one.name]).sort()];
    };
    const [morning, night] = [
      ['shop.a', 'Good morning'],
      ['shop.a', 'Good night'],
    ];
    expect(await list({ source: 'shop.a' })).toEqual([200, [morning, night]]);
    expect(await list({ source: 'shop.a', name: 'morn' })).toEqual([200, [morning]]);
    expect(await list({ source: 'shop.a', name: 'evening' })).toEqual([200, []]);
    expect(await list({ source: 'SHOP.A' })).toEqual([200, []]);
  });
});

describe('Sources', () => {
  /** As a client computes it: both texts after each other, hashed, with the marks of a version 5. */
  function computedId(sourceId: string, theirs: string): string {
    const bytes = createHash('sha1').update(`${sourceId}${theirs}`, 'utf8').digest().subarray(0, 16);
    bytes[6] = (bytes[6]! & 0x0f) | 0x50;
    bytes[8] = (bytes[8]! & 0x3f) | 0x80;
    return bytes.toString('hex').replace(/^(.{8})(.{4})(.{4})(.{4})/, '$1-$2-$3-$4-');
  }

  it('webhook with a plain-string message and two metadata items 200; ids consistent between the three', async () => {
    const source = await app.make.source();
    const channel = await app.make.channel(source, 'Kanal ü');
    const message = app.make.webhookMessage({
      source_message_id: 'Nachricht 1 €',
      source_conversation_id: 'Gespräch 😀',
      source_channel_id: 'Kanal ü',
      content: 'a plain text',
    });
    const { status, body } = await app.rest(
      'sources.webhook',
      {
        messages: [message],
        metadata: [
          { namespace: 'conversation', source_id: 'Gespräch 😀', metadata: { plan: 'pro' } },
          { namespace: 'message', source_id: 'Nachricht 1 €', metadata: { seen: true } },
        ],
      },
      source,
    );
    const [conversationId, messageId] = [
      computedId(source.sourceId, 'Gespräch 😀'),
      computedId(source.sourceId, 'Nachricht 1 €'),
    ];
    expect([status, body]).toEqual([
      200,
      { data: [{ source_message_id: 'Nachricht 1 €', id: messageId, status: 'created' }] },
    ]);
    expect(await info(conversationId)).toMatchObject({
      id: conversationId,
      channel: { id: computedId(source.sourceId, 'Kanal ü') },
      last_message: { id: messageId, content: 'a plain text', metadata: { seen: true } },
      metadata: { plan: 'pro' },
    });
    expect(await messagesOf(conversationId)).toMatchObject([
      { id: messageId, content: 'a plain text', metadata: { seen: true }, source: source.sourceId },
    ]);
    expect(channel.id).toBe(computedId(source.sourceId, 'Kanal ü'));
  });
});

describe('Secrets', () => {
  it('channel secrets given to channels.connect are in no list, info or answer', async () => {
    const source = await app.make.source();
    const request = {
      source: source.sourceId,
      source_channel_id: 'page-1',
      name: 'My page',
      token: 'secret-token-of-the-page',
    };
    const connected = await app.rest('channels.connect', request, admin);
    const { id: channel_id } = connected.body;
    const channel = { id: channel_id, sourceChannelId: 'page-1' };
    const { id: conversation_id } = await app.make.conversation({ source, channel });
    const answers = [
      connected,
      await app.rest('channels.connect', request, admin),
      await app.rest('channels.update', { channel_id, name: 'Another name' }, admin),
      await app.rest('channels.list', {}, admin),
      await app.rest('channels.list', { source: source.sourceId }, agent),
      await app.rest('channels.info', { channel_id }, admin),
      await app.rest('channels.explore', { source: source.sourceId, token: request.token }, admin),
      await app.rest('sources.channels.list', {}, source),
      await app.rest('conversations.info', { conversation_id }, admin),
      await app.rest('conversations.list', {}, admin),
      await app.graphql('{ channels { nodes { id name metadata } } connectedChannels { metadata } }', {}, admin),
    ];
    for (const { status, text } of answers) {
      expect([200, 202]).toContain(status);
      expect(text).not.toContain(request.token);
    }
    expect(answers[4]!.body.data).toMatchObject([{ id: channel_id, name: 'Another name' }]);
  });

  it('JWT keys are not decoded leniently: one that differs in what base64 overlooks is another key', async () => {
    const { token } = await app.make.user();
    const { database, dataDir } = app;
    /** Another gateway on the same database, whose JWT_SECRET is read as from the environment. */
    const gatewayWith = (jwtSecret: string) => {
      const given = { JWT_SECRET: jwtSecret, SECRETS_KEY: 'another key of forty characters or more!' };
      const read = loadSettings({ DATABASE_URL: database.url, DATA_DIR: dataDir, NODE_ENV: 'test', ...given });
      return startApp({ database, settings: { jwtSecret: read.jwtSecret } });
    };
    const secret = 'dGhlIGtleSBvZiBhIGdhdGV3YXksIGluIGJhc2U2NC4+';
    const first = await gatewayWith(secret);
    const own = await first.make.user();
    const same = await gatewayWith(secret);
    expect((await same.rest('conversations.list', {}, own)).status).toBe(200);
    expect((await same.rest('conversations.list', {}, { token })).status).toBe(403);
    for (const other of [`${secret}=`, secret.replace('+', '-'), `${secret.slice(0, 9)}!${secret.slice(9)}`]) {
      expect(Buffer.from(other, 'base64')).toEqual(Buffer.from(secret, 'base64'));
      const gateway = await gatewayWith(other);
      const { status, text } = await gateway.rest('conversations.list', {}, own);
      expect([other, status, text]).toEqual([other, 403, '']);
      await gateway.stop();
    }
  });
});

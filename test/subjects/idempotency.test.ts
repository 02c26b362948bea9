import { beforeAll, describe, expect, it } from '@jest/globals';
import { sql } from 'kysely';
import { rows } from '../../src/domain/statement.ts';
import { type ActionEndpoint, startActionEndpoint } from '../support/action-endpoint.ts';
import { type App, type Json, startApp } from '../support/app.ts';
import { send, settled } from '../support/sending.ts';

describe('Idempotency-Key of messages.send', () => {
  let endpoint: ActionEndpoint;
  let app: App;
  let admin: string;
  beforeAll(async () => {
    endpoint = await startActionEndpoint();
    app = await startApp({ settings: { retryTimeScale: 0.001, outboundAllow: [endpoint.hostPort] } });
    admin = (await app.make.admin()).token;
  });

  let keys = 0;
  const newKey = () => {
    keys += 1;
    return `key-${keys}`;
  };
  const sendBy = (
    conversation: { id: string },
    key: string,
    { message = { text: 'Hi' } as unknown, token = admin } = {},
  ) =>
    app.rest(
      'messages.send',
      { conversation_id: conversation.id, message },
      { token, headers: { 'idempotency-key': key } },
    );
  const delivering = async () => {
    const route = endpoint.route();
    const conversation = await app.make.conversation({ source: await app.make.source({ actionEndpoint: route.url }) });
    return { route, conversation };
  };
  const sentIn = async (conversation: { id: string }): Promise<string[]> => {
    const list = await app.rest('messages.list', { conversation_id: conversation.id }, { token: admin });
    return list.body.data.filter((each: Json) => each.sender_type === 'app_user').map(({ id }: Json) => id);
  };

  it('gives the first answer again, also when the message has gone on since, and sends nothing', async () => {
    const { route, conversation } = await delivering();
    const key = newKey();
    const first = await sendBy(conversation, key);
    await settled(app, { id: Buffer.from(`Message:${first.body.id}`).toString('base64url') });
    const again = await sendBy(conversation, key);
    expect([again.status, again.body]).toEqual([200, first.body]);
    expect(first.body.state).toBe('pending');
    expect(await sentIn(conversation)).toEqual([first.body.id]);
    expect(route.calls).toHaveLength(1);
  });

  it('makes one message of 20 equal calls at once', async () => {
    const { route, conversation } = await delivering();
    const key = newKey();
    const answers = await Promise.all(Array.from({ length: 20 }, () => sendBy(conversation, key)));
    expect(answers.map(({ status }) => status)).toEqual(Array(20).fill(200));
    expect(new Set(answers.map(({ text }) => text)).size).toBe(1);
    const { id } = answers[0]!.body;
    await settled(app, { id: Buffer.from(`Message:${id}`).toString('base64url') });
    expect(await sentIn(conversation)).toEqual([id]);
    expect(route.calls).toHaveLength(1);
  });

  it('is refused with 422 for another message or conversation', async () => {
    const { conversation } = await delivering();
    const key = newKey();
    expect((await sendBy(conversation, key)).status).toBe(200);
    expect((await sendBy(conversation, key, { message: { text: 'Other' } })).status).toBe(422);
    expect((await sendBy(await app.make.conversation(), key)).status).toBe(422);
    expect(await sentIn(conversation)).toHaveLength(1);
  });

  it('is of its user alone', async () => {
    const { conversation } = await delivering();
    const key = newKey();
    const { token } = await app.make.user();
    const mine = await sendBy(conversation, key);
    const theirs = await sendBy(conversation, key, { token });
    expect(theirs.status).toBe(200);
    expect(theirs.body.id).not.toBe(mine.body.id);
  });

  it('is the same over REST and GraphQL', async () => {
    const { conversation } = await delivering();
    const key = newKey();
    const first = await sendBy(conversation, key);
    expect((await send(app, conversation, 'Hi', { idempotencyKey: key })).legacyId).toBe(first.body.id);
  });

  it('is not kept when the call fails', async () => {
    const { conversation } = await delivering();
    const key = newKey();
    const unknown = { id: '00000000-0000-4000-8000-000000000000' };
    expect((await sendBy(unknown, key)).status).toBe(404);
    expect((await sendBy(conversation, key, { message: '' })).status).toBe(400);
    const { id } = (await app.rest('sources.channels.list', {}, { token: conversation.source.token })).body.data[0];
    await app.rest('channels.disconnect', { channel_id: id }, { token: admin });
    expect((await sendBy(conversation, key)).status).toBe(403);
    expect((await sendBy((await delivering()).conversation, key)).status).toBe(200);
  });

  it('is forgotten after 24 hours', async () => {
    const { conversation } = await delivering();
    const key = newKey();
    const first = await sendBy(conversation, key);
    const age = (hours: number) =>
      rows(
        app.core.em.fork(),
        sql`update idempotency_record set created_at = now() - make_interval(hours => ${hours}::int) where key = ${key}`,
      );
    await age(23);
    expect((await sendBy(conversation, key)).body.id).toBe(first.body.id);
    await age(24);
    const later = await sendBy(conversation, key, { message: { text: 'Other' } });
    expect(later.status).toBe(200);
    expect(later.body.id).not.toBe(first.body.id);
    expect((await sendBy(conversation, key, { message: { text: 'Other' } })).body.id).toBe(later.body.id);
  });

  it.each(['', 'x'.repeat(256)])('has 1 to 255 characters: %j is refused with 400', async (key) => {
    const { conversation } = await delivering();
    expect((await sendBy(conversation, key)).status).toBe(400);
    expect(await sentIn(conversation)).toEqual([]);
  });
});

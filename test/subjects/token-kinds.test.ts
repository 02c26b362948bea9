import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { sourceThingId } from '../../src/domain/ids.ts';
import { type App, type Json, type MadeSource, startApp } from '../support/app.ts';
import {
  base64,
  type Claims,
  claimsOf,
  expectRefused,
  forge,
  jwtHeader,
  keyOf,
  seconds,
  without,
} from '../support/forged-tokens.ts';
import { openSocket } from '../support/graph-socket.ts';
import { until } from '../support/until.ts';

describe('kinds of tokens', () => {
  let app: App;
  let user: Awaited<ReturnType<App['make']['user']>>;
  let source: MadeSource;

  beforeAll(async () => {
    app = await startApp();
    user = await app.make.user();
    source = await app.make.source();
  });
  afterAll(() => app.stop());

  describe('a token of one kind used as another', () => {
    const relabelled = (token: string, audience: string, key: string) =>
      forge(jwtHeader, { ...claimsOf(token), aud: audience, exp: seconds() + 600 }, keyOf(app, key));
    const resetToken = async () => {
      const { email } = await app.make.user();
      await app.rest('users.request-password-reset', { email });
      const mail = await until(async () => app.mails.find(({ to }) => to === email));
      return /^[\w-]+\.[\w-]+\.[\w-]+$/m.exec(mail.text)![0];
    };

    it('is refused, also under the name or key of the other', async () => {
      const reset = await resetToken();
      await expectRefused(app, reset);
      for (const [token, own] of [
        [user.token, 'user'],
        [source.token, 'source'],
        [reset, 'reset'],
      ] as const) {
        for (const other of ['user', 'source', 'reset'].filter((kind) => kind !== own)) {
          await expectRefused(app, relabelled(token, other, own));
          await expectRefused(app, relabelled(token, own, other));
          await expectRefused(app, relabelled(token, other, other));
        }
      }
    });

    it('does not set a password', async () => {
      const reset = await resetToken();
      const tokens = [
        user.token,
        source.token,
        relabelled(user.token, 'reset', 'reset'),
        relabelled(source.token, 'reset', 'reset'),
        relabelled(reset, 'reset', 'user'),
        without(app, reset, 'reset', 'exp'),
        without(app, reset, 'reset', 'jti'),
        `${base64({ alg: 'none' })}.${reset.split('.')[1]}.`,
      ];
      for (const token of tokens) {
        const { status, body } = await app.rest('users.password-reset', { token, new_password: 'battery staple' });
        expect([status, body.errors?.[0].path]).toEqual([400, 'token']);
      }
      expect((await app.rest('users.password-reset', { token: reset, new_password: 'battery staple' })).status).toBe(
        200,
      );
    });

    it('of a source opens nothing of people, and the other way round', async () => {
      for (const [row, token] of [
        ['conversations.list', source.token],
        ['sources.list', source.token],
        ['sources.channels.list', user.token],
        ['sources.webhook', user.token],
      ] as const) {
        const { status, body } = await app.rest(row, {}, { token });
        expect([row, status, body]).toEqual([row, 403, { message: expect.any(String) }]);
      }
    });
  });

  describe('the token of a source', () => {
    const list = (token: string) => app.rest('sources.channels.list', {}, { token });
    const asAdmin = async () => ({ token: (await app.make.admin()).token });

    it('has no expiry', async () => {
      expect(claimsOf(source.token)).not.toHaveProperty('exp');
      expect((await list(source.token)).status).toBe(200);
    });

    it('is refused with claims that do not hold', async () => {
      const made = (more: Claims) => forge(jwtHeader, { ...claimsOf(source.token), ...more }, keyOf(app, 'source'));
      for (const more of [
        { exp: seconds() - 120 },
        { exp: 'x' },
        { jti: randomUUID() },
        { jti: 1 },
        { sub: user.id },
        { sub: source.sourceId },
        { iss: 'x' },
        { iat: seconds() + 120 },
      ]) {
        await expectRefused(app, made(more));
      }
    });

    it('ends at once with its source, and is not revived by a new one of that name', async () => {
      const made = await app.make.source();
      expect((await list(made.token)).status).toBe(200);
      await app.rest('sources.delete', { source_id: made.sourceId }, await asAdmin());
      await expectRefused(app, made.token);
      const again = await app.make.source({ sourceId: made.sourceId });
      await expectRefused(app, made.token);
      expect((await list(again.token)).status).toBe(200);
    });

    it('ends at once when it is rotated', async () => {
      const made = await app.make.source();
      expect((await list(made.token)).status).toBe(200);
      const { token } = await asAdmin();
      const rotate = 'mutation ($input: SourceInput!) { rotateSourceToken(input: $input) { token } }';
      const { rotateSourceToken: rotated } = await app.data(rotate, { input: { sourceId: made.sourceId } }, token);
      await expectRefused(app, made.token);
      expect((await list(rotated.token)).status).toBe(200);
    });

    it('ends on open sockets too', async () => {
      const made = await app.make.source();
      const socket = await openSocket(app.wsUrl, made.token);
      const create = 'mutation { createSourceChannel(input: { sourceChannelId: "c", name: "c" }) { changed } }';
      expect((await socket.first(create))?.payload.data).toEqual({ createSourceChannel: { changed: true } });
      await app.rest('sources.delete', { source_id: made.sourceId }, await asAdmin());
      const word = await socket.first(create);
      expect(word?.payload?.data ?? null).toBeNull();
      expect(await socket.closed).toBe(4401);
    });
  });

  describe('T6: of two sources, one token', () => {
    /** All rows of the other one, as text. */
    async function rowsOf({ sourceId }: MadeSource): Promise<string> {
      const em = app.core.em.fork();
      const [{ id }] = (await em.execute('select id from source where source_id = ?', [sourceId])) as Json;
      const tables = [
        'source',
        'channel',
        'conversation',
        'message',
        'contact_identity',
        'waiting_metadata',
        'delivery_attempt',
      ];
      const dumps = tables.map((table) =>
        em.execute(`select t::text from ${table} t where ${table === 'source' ? 'id' : 'source'} = ? order by 1`, [id]),
      );
      return JSON.stringify(await Promise.all(dumps));
    }

    it("neither reads nor changes what is the other source's", async () => {
      const [mine, theirs] = [await app.make.source(), await app.make.source()];
      const conversation = await app.make.conversation({ source: theirs, displayName: 'Ada Lovelace' });
      const { id: channelId, sourceChannelId } = conversation.channel as { id: string; sourceChannelId: string };
      const before = await rowsOf(theirs);
      const by = { token: mine.token };

      const unknown = await app.rest('sources.channels.disconnect', { channel_id: randomUUID() }, by);
      const foreign = await app.rest('sources.channels.disconnect', { channel_id: channelId }, by);
      expect([foreign.status, foreign.text]).toEqual([403, unknown.text]);
      expect((await app.rest('sources.channels.list', {}, by)).body).toEqual({ data: [] });

      const message = {
        ...conversation.place,
        source_message_id: 'm',
        content: 'evil',
        from_contact: true,
        sent_at: 1,
      };
      const named = { source: theirs.sourceId, source_id: theirs.sourceId, sourceId: theirs.sourceId };
      const written = await app.rest('sources.webhook', { ...named, messages: [{ ...message, ...named }] }, by);
      expect([written.status, written.body.errors[0].path]).toEqual([400, 'messages[0].source_channel_id']);

      // The same names below a channel of one's own are other things.
      const own = { ...named, source_channel_id: sourceChannelId, name: 'Mine' };
      const made = await app.rest('sources.channels.create', own, by);
      expect([made.status, made.body.source, made.body.id === channelId]).toEqual([201, mine.sourceId, false]);
      const metadata = [
        {
          ...named,
          namespace: 'conversation',
          source_id: conversation.sourceConversationId,
          metadata: { contact: { display_name: 'Evil' }, evil: true },
        },
        { ...named, namespace: 'message', source_id: conversation.messageIds[0], metadata: { evil: true } },
      ];
      const taken = await app.rest('sources.webhook', { ...named, messages: [{ ...message, ...named }], metadata }, by);
      expect([taken.status, taken.body.data]).toEqual([
        200,
        [{ source_message_id: 'm', id: sourceThingId(mine.sourceId, 'm'), status: 'created' }],
      ]);
      expect(await rowsOf(theirs)).toBe(before);
      const { data } = (await app.rest('conversations.list', { page_size: 100 }, user)).body;
      const shown = data.find((one: Json) => one.id === conversation.id);
      expect([shown.contact.first_name, shown.last_message.content]).toEqual(['Ada', { text: 'Hello', type: 'text' }]);
    });

    // Ids are made of both names without anything between: `x` + `yz` and `xy` + `z` are one.
    it("writes nothing under an id that is the other one's, where two pairs of names make the same", async () => {
      const name = `pair-${randomUUID()}`;
      const [theirs, mine] = [
        await app.make.source({ sourceId: name }),
        await app.make.source({ sourceId: `${name}x` }),
      ];
      await app.make.channel(theirs, 'xchannel');
      const place = { source_conversation_id: 'xconversation', source_channel_id: 'xchannel' };
      await app.make.webhook(theirs, {
        messages: [app.make.webhookMessage({ ...place, source_message_id: 'xmessage' })],
      });
      const before = await rowsOf(theirs);
      const by = { token: mine.token };

      const channel = await app.rest('sources.channels.create', { source_channel_id: 'channel', name: 'c' }, by);
      expect([channel.status, channel.body.errors[0].path]).toEqual([400, 'source_channel_id']);
      expect(
        (await app.rest('sources.channels.disconnect', { channel_id: sourceThingId(name, 'xchannel') }, by)).status,
      ).toBe(403);

      await app.make.channel(mine, 'own');
      const at = (of: Record<string, unknown>) =>
        app.rest('sources.webhook', { messages: [app.make.webhookMessage({ source_channel_id: 'own', ...of })] }, by);
      const about = (namespace: string, sourceId: string) =>
        app.rest('sources.webhook', { metadata: [{ namespace, source_id: sourceId, metadata: { evil: true } }] }, by);
      const tries: [path: string, answer: Promise<Json>][] = [
        ['messages[0].source_channel_id', at({ source_channel_id: 'channel' })],
        ['messages[0].source_conversation_id', at({ source_conversation_id: 'conversation' })],
        ['messages[0].source_message_id', at({ source_message_id: 'message' })],
        ['metadata[0].source_id', about('conversation', 'conversation')],
        ['metadata[0].source_id', about('message', 'message')],
      ];
      for (const [path, answer] of tries) {
        const { status, body } = await answer;
        expect([status, body.errors?.map((one: Json) => one.path)]).toEqual([400, [path]]);
      }
      expect(await rowsOf(theirs)).toBe(before);
    });
  });

  it('T7: the first write of a message wins, whatever comes again under its id', async () => {
    const made = await app.make.source();
    const conversation = await app.make.conversation({
      source: made,
      messages: [{ source_message_id: 'm', sent_at: 1_000 }],
    });
    const other = await app.make.conversation({ source: made, channel: conversation.channel });
    const list = async ({ id }: { id: string }) =>
      (await app.rest('messages.list', { conversation_id: id }, user)).body.data;
    const [before, beforeOther] = [await list(conversation), await list(other)];
    for (const more of [
      { content: 'changed' },
      { sent_at: 2_000 },
      { sent_at: 0 },
      { from_contact: false, source_sender_id: 'another' },
      other.place,
    ]) {
      const again = app.make.webhookMessage({ ...conversation.place, source_message_id: 'm', sent_at: 1_000, ...more });
      const { data } = await app.make.webhook(made, { messages: [again, again] });
      expect(data.map((item: Json) => item.status)).toEqual(['duplicate', 'duplicate']);
    }
    expect(await list(conversation)).toEqual(before);
    expect(await list(other)).toEqual(beforeOther);
    const info = await app.rest('conversations.info', { conversation_id: conversation.id }, user);
    expect([info.body.unread_message_count, info.body.last_message.sent_at]).toEqual([1, '1970-01-01T00:00:01.000Z']);
  });
});

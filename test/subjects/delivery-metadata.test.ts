import { beforeAll, describe, expect, it } from '@jest/globals';
import { sql } from 'kysely';
import { rows } from '../../src/domain/statement.ts';
import { type ActionEndpoint, startActionEndpoint } from '../support/action-endpoint.ts';
import { type App, startApp } from '../support/app.ts';
import { messageNow, send, sendToEach, settled } from '../support/sending.ts';
import { until } from '../support/until.ts';

describe('a message that its action endpoint took gets the metadata that the source sends for it by webhook', () => {
  let endpoint: ActionEndpoint;
  let app: App;
  beforeAll(async () => {
    endpoint = await startActionEndpoint();
    app = await startApp({ settings: { outboundAllow: [endpoint.hostPort] } });
  });

  const itemOf = (id: string, metadata: unknown) => ({ namespace: 'message', source_id: id, metadata });
  const waitingOf = (sourceId: string) =>
    rows(
      app.core.em.fork(),
      sql`select subject_id from waiting_metadata w join source s on s.id = w.source where s.source_id = ${sourceId}`,
    );

  it('later', async () => {
    const route = endpoint.route(() => ({ body: { source_message_id: 'reacted' } }));
    const source = await app.make.source({ actionEndpoint: route.url });
    const message = await settled(app, await send(app, await app.make.conversation({ source })));
    await app.make.webhook(source, { metadata: [itemOf('reacted', { reaction: 'heart' })] });

    expect((await messageNow(app, message)).metadata).toEqual({ reaction: 'heart', source: { id: 'reacted' } });
  });

  it('before the answer has named the message (F5)', async () => {
    const told = Promise.withResolvers<void>();
    const route = endpoint.route(async () => {
      await told.promise;
      return { body: { source_message_id: 'early', metadata: { receipt: 7 } } };
    });
    const source = await app.make.source({ actionEndpoint: route.url });
    const sent = await send(app, await app.make.conversation({ source }));
    await app.make.webhook(source, { metadata: [itemOf('early', { 'seen.by': 'Ada' })] });
    const before = await messageNow(app, sent);
    told.resolve();

    expect(before.metadata).toEqual({});
    expect(await settled(app, sent)).toMatchObject({
      deliveryState: 'DELIVERED',
      metadata: { receipt: 7, seen: { by: 'Ada' }, source: { id: 'early' } },
    });
    expect(await waitingOf(source.sourceId)).toEqual([]);
  });

  it('in the moment of the answer, each of many', async () => {
    const { make } = app;
    const route = endpoint.route(({ messageId }) => {
      void make.webhook(source, { metadata: [itemOf(messageId, { seen: messageId })] });
      return { body: { source_message_id: messageId } };
    });
    const source = await make.source({ actionEndpoint: route.url });
    const channel = await make.channel(source);
    const conversations = await Promise.all(Array.from({ length: 24 }, () => make.conversation({ source, channel })));

    for (const message of await sendToEach(app, conversations)) {
      const now = await until(async () => {
        const { metadata } = await messageNow(app, message);
        return metadata.seen && metadata;
      });
      expect(now).toEqual({ seen: message.legacyId, source: { id: message.legacyId } });
    }
    expect(await waitingOf(source.sourceId)).toEqual([]);
  });
});

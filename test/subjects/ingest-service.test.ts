import { randomUUID } from 'node:crypto';
import { beforeAll, describe, expect, it } from '@jest/globals';
import { createCtx, type Principal } from '../../src/domain/context.ts';
import { ingest } from '../../src/domain/messaging/sources/ingest.service.ts';
import type { IngestMessage, IngestMetadata } from '../../src/domain/messaging/sources/ingest-batch.ts';
import { type App, startApp } from '../support/app.ts';

// REST refuses such batches by their shape, and GraphQL by their size: whoever calls the service meets its own bounds.
describe('a batch that comes to the service itself', () => {
  let app: App;
  beforeAll(async () => {
    app = await startApp({ settings: { role: 'gateway' } });
  });

  function take(batch: { messages?: IngestMessage[]; metadata?: IngestMetadata[] }) {
    const principal: Principal = { kind: 'source', sourceId: randomUUID(), sourceName: 'somebody' };
    const ctx = createCtx(app.core, { principal, requestId: 'test', address: 'test' });
    return ingest(ctx, { messages: [], metadata: [], ...batch });
  }

  const message = (n: number): IngestMessage => ({
    sourceMessageId: `m-${n}`,
    sourceConversationId: 'c',
    sourceChannelId: 'channel',
    sourceSenderId: 's',
    content: { text: 'Hello' },
    fromContact: true,
    sentAt: new Date(1_600_000_000_000),
  });

  it('has at most 1,000 messages', async () => {
    const messages = Array.from({ length: 1_001 }, (_none, n) => message(n));
    await expect(take({ messages })).rejects.toMatchObject({ faults: [{ path: 'messages' }] });
  });

  it('has at most 1,000 pieces of metadata', async () => {
    const metadata = Array.from({ length: 1_001 }, () => ({ namespace: 'message', sourceId: 'm', metadata: {} }));
    await expect(take({ metadata })).rejects.toMatchObject({ faults: [{ path: 'metadata' }] });
  });
});

it('a webhook nests the keys of its metadata only so deep, where they are joined by dots too', async () => {
  const app = await startApp({ settings: { role: 'gateway' } });
  const source = await app.make.source();
  const send = (parts: number) => {
    const metadata = { [Array.from({ length: parts }, () => 'a').join('.')]: 1 };
    const body = { messages: [], metadata: [{ namespace: 'conversation', source_id: 'nobody yet', metadata }] };
    return app.rest('sources.webhook', body, { token: source.token });
  };
  const refused = await send(34);
  expect([refused.status, refused.body.errors]).toEqual([
    400,
    [{ path: 'metadata[0].metadata', message: 'keys may nest at most 32 levels' }],
  ]);
  expect((await send(33)).status).toBe(200);
});

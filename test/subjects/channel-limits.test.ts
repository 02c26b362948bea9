import { beforeAll, describe, expect, it } from '@jest/globals';
import { type App, type MadeSource, startApp } from '../support/app.ts';

describe('the channels of a source', () => {
  let app: App;
  beforeAll(async () => {
    app = await startApp();
  });

  /** Rows as they would be after so many calls. */
  async function fill({ sourceId }: MadeSource, count: number, connected: boolean): Promise<void> {
    await app.core.em.fork().execute(
      `insert into channel (id, source, source_channel_id, name, connected)
       select gen_random_uuid(), s.id, '${connected}-' || n, 'x', ${connected}
       from source s, generate_series(1, ${count}) n where s.source_id = '${sourceId}'`,
    );
  }
  const create = (source: MadeSource, sourceChannelId: string) =>
    app.rest(
      'sources.channels.create',
      { source_channel_id: sourceChannelId, name: 'A channel' },
      { token: source.token },
    );

  it('are a thousand connected ones at most, however many come at once', async () => {
    const source = await app.make.source();
    const first = await app.make.channel(source);
    await fill(source, 997, true);
    const statuses = (await Promise.all(['a', 'b', 'c', 'd'].map((name) => create(source, name)))).map(
      ({ status }) => status,
    );
    expect(statuses.sort()).toEqual([201, 201, 400, 400]);
    const refused = await create(source, 'e');
    expect(refused.body.errors).toEqual([
      { path: 'source_channel_id', message: expect.stringContaining('disconnect one first') },
    ]);
    // One that is there is renamed, and a place that became free is taken.
    expect((await create(source, first.sourceChannelId)).status).toBe(201);
    await app.rest('sources.channels.disconnect', { channel_id: first.id }, { token: source.token });
    expect((await create(source, 'e')).status).toBe(201);
    expect((await create(source, first.sourceChannelId)).status).toBe(400);
    expect((await create(await app.make.source(), 'e')).status).toBe(201);
  });

  it('have metadata of 8 KiB at most: all of them come in one answer', async () => {
    const source = await app.make.source();
    const withMetadata = (bytes: number) =>
      app.rest(
        'sources.channels.create',
        { source_channel_id: 'large', name: 'A channel', metadata: { note: 'x'.repeat(bytes - 11) } },
        { token: source.token },
      );
    expect((await withMetadata(8_192)).status).toBe(201);
    const refused = await withMetadata(8_193);
    expect(refused.status).toBe(400);
    expect(refused.body.errors).toEqual([{ path: 'metadata', message: 'must be at most 8192 bytes as JSON' }]);
  });

  it('are ten thousand at most with those that were disconnected', async () => {
    const source = await app.make.source();
    const old = await app.make.channel(source);
    await app.rest('sources.channels.disconnect', { channel_id: old.id }, { token: source.token });
    await fill(source, 9_999, false);
    expect((await create(source, 'one more')).status).toBe(400);
    expect((await create(source, old.sourceChannelId)).status).toBe(201);
  });
});

describe('what grows old', () => {
  it('is found by an index in each table that is cleaned', async () => {
    const app = await startApp();
    const em = app.core.em.fork();
    // Even the smallest table, so that what can be used is.
    await em.begin();
    await em.execute('set local enable_seqscan = off');
    for (const [table, column] of [
      ['delivery_attempt', 'at'],
      ['waiting_metadata', 'created_at'],
      ['idempotency_record', 'created_at'],
      ['login_throttle', 'window_ends_at'],
      ['reset_token', 'expires_at'],
    ]) {
      const plan = await em.execute(`explain (format json) select ctid from ${table} where ${column} < now() limit 10`);
      expect([table, JSON.stringify(plan)]).toEqual([table, expect.stringContaining(`${table}_age`)]);
    }
    await em.rollback();
  });
});

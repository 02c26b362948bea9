import { beforeAll, describe, expect, it } from '@jest/globals';
import pg from 'pg';
import { type App, type MadeSource, type RestResult, startApp } from '../support/app.ts';
import { watchStalls } from '../support/stalls.ts';
import { until } from '../support/until.ts';

describe('batches of many bytes', () => {
  let app: App;
  let source: MadeSource;
  let channel: Awaited<ReturnType<App['make']['channel']>>;
  beforeAll(async () => {
    app = await startApp({ settings: { role: 'gateway' } });
    source = await app.make.source();
    channel = await app.make.channel(source);
  });

  const batchOf = (count: number, characters: number): string =>
    JSON.stringify({
      messages: Array.from({ length: count }, () =>
        app.make.webhookMessage({
          source_channel_id: channel.sourceChannelId,
          content: { text: 'x'.repeat(characters) },
        }),
      ),
    });
  const post = (body: string): Promise<RestResult> => app.rest('sources.webhook', body, { token: source.token });

  it('of a thousand messages hold nobody up for longer than 50 ms', async () => {
    for (let warm = 0; warm < 3; warm += 1) await post(batchOf(300, 100));
    let least = Number.POSITIVE_INFINITY;
    for (let tries = 0; tries < 3; tries += 1) {
      const body = batchOf(1_000, 500);
      const stall = watchStalls();
      expect((await post(body)).status).toBe(200);
      least = Math.min(least, stall());
    }
    expect(least).toBeLessThan(50);
  });

  it('are told to come again when more of them wait than memory should hold', async () => {
    const body = batchOf(15, 65_000);
    const blocker = new pg.Client({ connectionString: app.database.url });
    await blocker.connect();
    await blocker.query('begin; lock table message');
    // More than half of them wait, however slowly they come and give up waiting for the lock.
    const answers = Array.from({ length: 80 }, () => post(body));
    let refused: RestResult | undefined;
    for (const answer of answers) {
      void answer.then((one) => {
        if (one.body.message?.includes('too much arrives')) refused = one;
      });
    }
    const { headers } = await until(async () => refused, 30_000);
    await blocker.end();
    expect(headers.get('retry-after')).toBe('1');
    for (const { status } of await Promise.all(answers)) expect([200, 503]).toContain(status);
    expect((await post(body)).status).toBe(200);
  }, 60_000);
});

import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { type DemoOptions, writeDemo } from '../../src/cli/demo.ts';
import { startApp } from '../support/app.ts';
import { openPrinted } from '../support/printed.ts';
import { until } from '../support/until.ts';

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'parley-demo-'));
});
afterEach(() => rm(folder, { recursive: true, force: true }));

async function setUp() {
  const app = await startApp();
  const { token } = await app.make.admin();
  const printed = openPrinted();
  const stop = new AbortController();
  const options: DemoOptions = {
    url: app.url,
    token,
    live: false,
    rotate: false,
    isProduction: false,
    dataDir: folder,
    out: printed.out,
    signal: stop.signal,
  };
  return { app, token, printed, stop, options };
}

describe('parley demo', () => {
  it('fills a gateway with two weeks of conversations, once', async () => {
    const { app, token, printed, options } = await setUp();
    const first = await writeDemo(options);
    expect(first.messagesCreated).toBeGreaterThan(500);
    expect(first.duplicates).toBe(0);
    const { body } = await app.rest('conversations.list', { page_size: 50 }, { token });
    expect(body.pagination_data.total).toBe(200);
    const unread = body.data.filter((one: { unread_message_count: number }) => one.unread_message_count > 0);
    expect(unread.length).toBeLessThan(body.data.length);
    expect(printed.text()).toMatch(/Wrote [\d,]+ messages in 200 conversations over 14 days/);

    expect(await writeDemo(options)).toEqual({ messagesCreated: 0, duplicates: 0, liveMessages: 0 });
    expect(printed.text()).toContain('are there already');
  });

  it('is refused in production', async () => {
    const { options } = await setUp();
    await expect(writeDemo({ ...options, isProduction: true })).rejects.toThrow('refused');
  });

  it('lets people write, and answer what is sent to them, until Ctrl-C', async () => {
    const { app, token, printed, stop, options } = await setUp();
    const running = writeDemo({ ...options, live: true, paceMs: 10 });
    await until(async () => printed.text().includes('Live: people write'), 15_000);
    const written = () => [...printed.text().matchAll(/^\d\d:\d\d:\d\d {2}demo-live-/gm)].length;
    await until(async () => written() >= 10);
    const { body } = await app.rest('conversations.list', { page_size: 1 }, { token });
    const message = { conversation_id: body.data[0].id, message: { text: 'Good morning!' } };
    expect((await app.rest('messages.send', message, { token })).status).toBe(200);
    await until(async () => printed.text().includes('You wrote: Good morning!'));
    stop.abort();
    const { liveMessages } = await running;
    expect(liveMessages).toBeGreaterThanOrEqual(11);
    const { source } = await app.data('{ source(sourceId: "demo") { actionEndpoint } }', {}, token);
    expect(source.actionEndpoint).toBeNull();
  });
});

import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { tailEvents } from '../../src/cli/events-tail.ts';
import { type App, startApp } from '../support/app.ts';
import { createTestDatabase, type TestDatabase } from '../support/database.ts';
import { openPrinted } from '../support/printed.ts';
import { until } from '../support/until.ts';

async function tail(app: App, { token, json = false, after }: { token: string; json?: boolean; after?: string }) {
  const printed = openPrinted();
  const notices = openPrinted();
  const stop = new AbortController();
  const { out } = printed;
  const ended = tailEvents({ url: app.url, token, json, after, out, notices: notices.out, signal: stop.signal });
  ended.catch(() => undefined);
  const lines = () => printed.text().trimEnd().split('\n');
  return { lines, text: printed.text, notices: notices.text, stop: () => stop.abort(), ended };
}

describe('parley events tail', () => {
  let database: TestDatabase;
  beforeAll(async () => {
    database = await createTestDatabase();
  });
  afterAll(() => database.drop());
  it('prints what happens, one line for each event', async () => {
    const app = await startApp({ settings: { role: 'gateway' } });
    const { token } = await app.make.admin();
    const running = await tail(app, { token });
    await until(async () => running.notices().includes('Connected to'));
    const conversation = await app.make.conversation({ messages: [{ content: { text: 'Is anybody\nthere?' } }] });
    await app.rest('messages.send', { conversation_id: conversation.id, message: { text: 'Yes' } }, { token });
    await app.rest('conversations.read', { conversation_id: conversation.id }, { token });
    await app.rest('channels.disconnect', { channel_id: conversation.channel.id }, { token });
    await until(async () => running.lines().length >= 5);
    running.stop();
    await running.ended;
    expect(running.text()).toContain('"Is anybody there?"');
    expect(running.text()).toContain('"Yes"');
    expect(running.text()).toContain('Grace Hopper');
  });

  it('goes on where it was after a lost connection, and from a cursor that it is given', async () => {
    const { url } = database;
    const first = await startApp({ database: { url }, settings: { role: 'gateway' } });
    const { token } = await first.make.admin();
    const running = await tail(first, { token, json: true });
    await until(async () => running.notices().includes('Connected to'));
    const one = await first.make.conversation();
    await until(async () => running.text().includes(one.messageIds[0]!));
    const { cursor } = JSON.parse(running.lines()[0]!) as { cursor: string };
    // The gateway goes, somebody writes through another one, and it comes back on its port.
    const { jwtSecret, secretsKey } = first.core.settings;
    await first.stop();
    await until(async () => running.notices().includes('trying again'));
    const other = await startApp({ database: { url }, settings: { role: 'gateway', jwtSecret, secretsKey } });
    const two = await other.make.conversation();
    const port = Number(new URL(first.url).port);
    const again = await startApp({ database: { url }, settings: { role: 'gateway', jwtSecret, secretsKey, port } });
    await until(async () => running.text().includes(two.messageIds[0]!), 15_000);
    expect(running.notices()).toContain('Connected again.');
    running.stop();
    await running.ended;

    const replayed = await tail(again, { token, json: true, after: cursor });
    await until(async () => replayed.text().includes(two.messageIds[0]!));
    replayed.stop();
    await replayed.ended;
    await Promise.all([other.stop(), again.stop()]);
  });

  it('ends with what was wrong when the gateway refuses', async () => {
    const app = await startApp({ settings: { role: 'gateway' } });
    const { token } = await app.make.admin();
    const badCursor = await tail(app, { token, after: 'nonsense' });
    await expect(badCursor.ended).rejects.toThrow(/^(?!.*Go on later).*cursor/);
    const source = await app.make.source();
    const ofSource = await tail(app, { token: source.token });
    await expect(ofSource.ended).rejects.toThrow(/may not/);
    const nobody = await tail(app, { token: 'nonsense', after: 'nonsense' });
    await expect(nobody.ended).rejects.toThrow('refused the connection: 4403');
  });
});

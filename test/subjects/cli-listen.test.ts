import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Writable } from 'node:stream';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import type { ActionCall } from '../../src/cli/action-endpoint.ts';
import { idOfSource } from '../../src/cli/demo.ts';
import { type ListenOptions, listenForActions } from '../../src/cli/listen.ts';
import { startApp } from '../support/app.ts';

type App = Awaited<ReturnType<typeof startApp>>;

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'parley-listen-'));
});
afterEach(() => rm(folder, { recursive: true, force: true }));

const former = 'https://former.example/actions';

/** A source with a former action endpoint and one conversation to answer in. */
async function makeSource(
  app: App,
  adminToken: string,
  sourceId: string,
): Promise<{ token: string; conversationId: string }> {
  const source = { source_id: sourceId, action_endpoint: former };
  const created = await app.rest('sources.create', source, { token: adminToken });
  expect(created.status).toBe(200);
  const { token } = created.body as { token: string };
  await app.rest('sources.channels.create', { source_channel_id: 'desk', name: 'Desk' }, { token });
  const message = {
    source_message_id: 'm-1',
    source_conversation_id: 'c-1',
    source_channel_id: 'desk',
    source_sender_id: 'ada',
    content: { text: 'Is anybody there?' },
    from_contact: true,
    sent_at: Date.parse('2026-01-05T09:00:00Z'),
  };
  expect((await app.rest('sources.webhook', { messages: [message] }, { token })).status).toBe(200);
  return { token, conversationId: idOfSource(sourceId, 'c-1') };
}

/** Listens in this process; `stop` is Ctrl-C. */
async function startListening(given: Pick<ListenOptions, 'url' | 'token' | 'sourceId'> & Partial<ListenOptions>) {
  const printed: string[] = [];
  const out = new Writable({
    write(chunk: Buffer, _encoding, done) {
      printed.push(chunk.toString());
      done();
    },
  });
  const controller = new AbortController();
  const calls: ActionCall[] = [];
  const waiting: ((call: ActionCall) => void)[] = [];
  let ended: Promise<void> = Promise.resolve();
  const url = await new Promise<string>((resolve, reject) => {
    ended = listenForActions({
      host: '127.0.0.1',
      port: 0,
      status: 200,
      signingSecrets: [],
      rotate: false,
      dataDir: folder,
      out,
      signal: controller.signal,
      onReady: resolve,
      onCall: (call) => {
        const next = waiting.shift();
        if (next) next(call);
        else calls.push(call);
      },
      ...given,
    });
    ended.catch(reject);
  });
  return {
    url,
    text: () => printed.join(''),
    nextCall: async () => calls.shift() ?? (await new Promise<ActionCall>((resolve) => waiting.push(resolve))),
    stop: async () => {
      controller.abort();
      await ended;
    },
  };
}

async function endpointOf(app: App, token: string, sourceId: string): Promise<string | null | undefined> {
  const answer = await app.rest('sources.list', {}, { token });
  const { data } = answer.body as { data: { source_id: string; action_endpoint?: string | null }[] };
  return data.find((source) => source.source_id === sourceId)?.action_endpoint;
}

async function deliveryState(app: App, token: string, conversationId: string): Promise<string | undefined> {
  const answer = await app.rest('messages.list', { conversation_id: conversationId }, { token });
  const { data } = answer.body as { data: { delivery_state: string }[] };
  return data.at(-1)?.delivery_state;
}

/** Asks until it is so; the worker writes the state a moment after the endpoint has answered. */
async function eventually(is: () => Promise<boolean>): Promise<void> {
  for (let tries = 0; !(await is()); tries += 1) {
    if (tries > 200) throw new Error('it did not happen within 10 s');
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

describe('parley listen', () => {
  it('takes a signed call, answers it, and gives the former endpoint back at the end', async () => {
    const app = await startApp();
    const admin = await app.make.user({ role: 'ADMIN' });
    const { token: sourceToken, conversationId } = await makeSource(app, admin.token, 'bridge');
    const listening = await startListening({ url: app.url, token: admin.token, sourceId: 'bridge', sourceToken });
    expect(await endpointOf(app, admin.token, 'bridge')).toBe(listening.url);

    const message = { conversation_id: conversationId, message: { text: 'Yes, we are.' } };
    expect((await app.rest('messages.send', message, { token: admin.token })).status).toBe(200);
    const call = await listening.nextCall();

    expect(call).toMatchObject({
      isVerified: true,
      action: { payload: { message: { content: { text: 'Yes, we are.' } } } },
    });
    await eventually(async () => (await deliveryState(app, admin.token, conversationId)) === 'delivered');
    await listening.stop();
    expect(listening.text()).toMatch(/message\.send .*Yes, we are\..*answered 200/);
    expect(await endpointOf(app, admin.token, 'bridge')).toBe(former);
  });

  it('answers with another status, which fails the message', async () => {
    const app = await startApp();
    const admin = await app.make.user({ role: 'ADMIN' });
    const { token: sourceToken, conversationId } = await makeSource(app, admin.token, 'refusing');
    const listening = await startListening({
      url: app.url,
      token: admin.token,
      sourceId: 'refusing',
      sourceToken,
      status: 422,
    });

    await app.rest(
      'messages.send',
      { conversation_id: conversationId, message: { text: 'No.' } },
      { token: admin.token },
    );
    await listening.nextCall();
    await eventually(async () => (await deliveryState(app, admin.token, conversationId)) === 'failed');
    await listening.stop();
  });

  it('answers 401 to a call with another signature and says so loudly', async () => {
    const app = await startApp();
    const admin = await app.make.user({ role: 'ADMIN' });
    const { token: sourceToken } = await makeSource(app, admin.token, 'forged');
    const listening = await startListening({ url: app.url, token: admin.token, sourceId: 'forged', sourceToken });

    const headers = { 'x-airy-content-signature': 'f'.repeat(64) };
    const answer = await fetch(listening.url, { method: 'POST', body: '{}', headers });

    expect(answer.status).toBe(401);
    expect(await listening.nextCall()).toMatchObject({ isVerified: false });
    expect(listening.text()).toMatch('*** NOT VERIFIED');
    await listening.stop();
  });

  it('leaves an endpoint alone that somebody set in the meantime', async () => {
    const app = await startApp();
    const admin = await app.make.user({ role: 'ADMIN' });
    const { token: sourceToken } = await makeSource(app, admin.token, 'moved');
    const listening = await startListening({ url: app.url, token: admin.token, sourceId: 'moved', sourceToken });

    const moved = 'https://moved.example/actions';
    await app.rest('sources.update', { source_id: 'moved', action_endpoint: moved }, { token: admin.token });
    await listening.stop();

    expect(await endpointOf(app, admin.token, 'moved')).toBe(moved);
  });

  it('needs a token to verify with, and makes and keeps a new one with --rotate', async () => {
    const app = await startApp();
    const admin = await app.make.user({ role: 'ADMIN' });
    const { token: oldToken } = await makeSource(app, admin.token, 'turning');
    const given = { url: app.url, token: admin.token, sourceId: 'turning' };

    await expect(startListening(given)).rejects.toThrow(/is not known here.*\n.*listen turning --rotate/);
    await expect(startListening({ ...given, sourceToken: 'wrong' })).rejects.toThrow('not the present one');
    const listening = await startListening({ ...given, rotate: true });
    await listening.stop();

    const kept = JSON.parse(await readFile(join(folder, 'import', 'turning.json'), 'utf8')) as { token: string };
    expect((await app.rest('sources.channels.list', {}, { token: kept.token })).status).toBe(200);
    expect((await app.rest('sources.channels.list', {}, { token: oldToken })).status).toBe(403);
  });

  it('says so when there is no such source', async () => {
    const app = await startApp();
    const admin = await app.make.user({ role: 'ADMIN' });
    const listening = startListening({ url: app.url, token: admin.token, sourceId: 'nobody' });
    await expect(listening).rejects.toThrow('There is no source "nobody"');
  });
});

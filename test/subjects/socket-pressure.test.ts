import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import WebSocket from 'ws';
import { type App, startApp } from '../support/app.ts';
import { openSocket } from '../support/graph-socket.ts';
import { addLargePage } from '../support/large-page.ts';
import { figure, scrape } from '../support/metrics.ts';
import { until } from '../support/until.ts';

describe('a socket', () => {
  let app: App;
  let token: string;
  let conversation: Awaited<ReturnType<App['make']['conversation']>>;
  beforeAll(async () => {
    app = await startApp();
    token = (await app.make.user()).token;
    conversation = await app.make.conversation();
  });
  afterAll(() => app.stop());

  const stream = `subscription ($id: ID!) { conversation(id: $id) { __typename ... on MessageEvent { message { id } } } }`;
  const happen = () =>
    app.make.webhook(conversation.source, { messages: [app.make.webhookMessage(conversation.place)] });
  const delivered = async () => figure(await scrape(app.url), 'parley_events_delivered_total') ?? 0;
  const executed = async () =>
    figure(await scrape(app.url), 'parley_graphql_operation_duration_seconds_count', { operation: 'conversation' }) ??
    0;

  it.each([
    ['before its operations are open', 90],
    ['until it is closed for it', 400],
  ])('leaves nothing behind where one id is used again and again %s', async (_when, uses) => {
    const ws = new WebSocket(app.wsUrl, 'graphql-transport-ws');
    await new Promise((resolve) => ws.once('open', resolve));
    const heard: string[] = [];
    ws.on('message', (data) => heard.push(String(data)));
    const send = (message: unknown) => ws.send(JSON.stringify(message));
    send({ type: 'connection_init', payload: { authorization: `Bearer ${token}` } });
    await until(async () => heard.length > 0);
    const payload = { query: stream, variables: { id: conversation.id } };
    const closed = new Promise<number>((resolve) => ws.once('close', resolve));
    for (let use = 0; use < uses; use += 1) {
      send({ type: 'subscribe', id: 'x', payload });
      send({ type: 'complete', id: 'x' });
    }
    if (uses > 200) expect(await closed).toBe(1008);
    else await hearsNothing();
    ws.close();
    await until(async () => figure(await scrape(app.url), 'parley_sockets_open') === 0);
    const before = await delivered();
    const marker = await openSocket(app.wsUrl, token);
    const id = marker.start(stream, { id: conversation.id });
    while (marker.about(id).length === 0) await happen();
    await until(async () => (await delivered()) - before === marker.about(id).length);
    marker.close();

    async function hearsNothing(): Promise<void> {
      const told = (text: string) => until(async () => heard.some((one) => one.includes(text)));
      // Another one that stands last of all: what it hears the others would have heard too.
      send({ type: 'subscribe', id: 'x', payload: { query: '{ __typename }' } });
      await told('"__typename":"Query"');
      send({ type: 'subscribe', id: 'last', payload });
      // It is open once it has told something.
      while (!heard.some((one) => one.includes('"id":"last"'))) await happen();
      expect(heard.filter((one) => one.includes('"id":"x"') && one.includes('"MessageEvent"'))).toEqual([]);
    }
  });

  const pageQuery = 'query ($id: ID!) { conversation(id: $id) { messages(last: 98) { nodes { raw } } } }';

  /** A socket that asks for a large page so many times and reads nothing. */
  async function deafSocket(times: number): Promise<WebSocket> {
    const ws = new WebSocket(app.wsUrl, 'graphql-transport-ws');
    await new Promise((resolve) => ws.once('open', resolve));
    ws.send(JSON.stringify({ type: 'connection_init', payload: { authorization: `Bearer ${token}` } }));
    await new Promise((resolve) => ws.once('message', resolve));
    ws.pause();
    const payload = { query: pageQuery, variables: { id: conversation.id } };
    for (let id = 1; id <= times; id += 1) ws.send(JSON.stringify({ id: String(id), type: 'subscribe', payload }));
    return ws;
  }

  describe('that reads nothing', () => {
    beforeAll(() => addLargePage(app, conversation));

    it('has little executed, however much it asks for', async () => {
      const before = await executed();
      const ws = await deafSocket(30);
      await until(async () => (await executed()) - before >= 4);
      // Somebody else who asks as often is answered meanwhile.
      const reader = await openSocket(app.wsUrl, token);
      for (let asked = 0; asked < 20; asked += 1) await reader.first('{ viewer { id } }');
      reader.close();
      expect((await executed()) - before).toBeLessThanOrEqual(8);

      // It gets all of it once it reads.
      let answers = 0;
      ws.on('message', (data) => {
        if ((data as Buffer).length < 100 && String(data).includes('complete')) answers += 1;
      });
      ws.resume();
      await until(async () => answers === 30, 15_000);
      ws.terminate();
    });

    it('is cut where many such together have too much waiting', async () => {
      const sockets: WebSocket[] = [];
      const open = async () => figure(await scrape(app.url), 'parley_sockets_open') ?? 0;
      // Each of them has four pages of 6 MB before it.
      while (sockets.length < 16 && (await open()) === sockets.length) {
        const before = await executed();
        sockets.push(await deafSocket(4));
        await until(async () => (await executed()) - before === 4);
      }
      await until(async () => (await open()) < sockets.length);
      expect(await open()).toBeGreaterThanOrEqual(4);
      for (const ws of sockets) ws.terminate();
    });
  });
});

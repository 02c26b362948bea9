import { afterAll, beforeAll, describe, expect, it, jest } from '@jest/globals';
import { startActionEndpoint } from '../support/action-endpoint.ts';
import { createTestDatabase, type TestDatabase } from '../support/database.ts';
import { until } from '../support/until.ts';
import { type Ending, GatewayProcess, type Ground, prepareGround } from './gateway-process.ts';
import { endSubscribers, InboxSubscriber } from './inbox-subscriber.ts';
import { firstStatusBut200, holdConversation, makeConversation, stopBeforeAnswer, stopUnderLoad } from './stop-run.ts';
import { flawless } from './verifier.ts';

// Processes start and end: under other load that takes its time.
jest.setTimeout(60_000);

let database: TestDatabase;
beforeAll(async () => {
  database = await createTestDatabase();
});
afterAll(async () => {
  endSubscribers();
  await database.drop();
});

describe('SIGTERM (F11)', () => {
  let gateway: GatewayProcess;
  let ground: Ground;
  let silentStop: Promise<Ending>;
  let conversationId: string;
  beforeAll(async () => {
    // It takes its nine seconds: beside the others.
    silentStop = stopBeforeAnswer(await startActionEndpoint());
    silentStop.catch(() => undefined);
    gateway = await GatewayProcess.start({ databaseUrl: database.url });
    ground = await prepareGround(gateway);
    conversationId = await makeConversation(gateway, ground);
  });

  const send = (text: string) =>
    gateway.post('messages.send', { conversation_id: conversationId, message: { text } }, ground.adminToken);

  it('tells "not ready" at once, closes sockets with 1001, and ends with 0 when what is in flight has its answer', async () => {
    const subscriber = new InboxSubscriber(gateway.wsUrl, { token: ground.adminToken, comesBack: false });
    await until(async () => subscriber.joined === 1);
    const { answer, ending } = await holdConversation(database.url, conversationId, async (held) => {
      const answering = send('in flight');
      await until(held.isWaitedFor);
      const ended = gateway.terminate();
      expect(await firstStatusBut200(gateway)).toBe(503);
      await until(async () => subscriber.closed.length > 0);
      expect(await gateway.readiness()).toBe(503);
      await held.release();
      return { answer: await answering, ending: await ended };
    });

    expect(answer.status).toBe(200);
    expect(answer.headers.get('connection')).toBe('close');
    expect(subscriber.closed).toEqual([1001]);
    expect(ending).toMatchObject({ code: 0 });
    expect(ending.ms).toBeLessThan(10_000);
    await gateway.start();
    const listed = await gateway.post('messages.list', { conversation_id: conversationId }, ground.adminToken);
    expect(listed.body.data.map((message: { id: string }) => message.id)).toContain(answer.body.id);
  });

  it('a second time ends at once', async () => {
    const ending = await holdConversation(database.url, conversationId, async (held) => {
      const answering = send('given up').catch(() => 'no answer');
      await until(held.isWaitedFor);
      gateway.signal('SIGTERM');
      expect(await firstStatusBut200(gateway)).toBe(503);
      // Within a tenth of a second it is taken for the same one, handed on.
      const again = setInterval(() => gateway.isRunning && gateway.signal('SIGTERM'), 50);
      const ended = await gateway.ended();
      clearInterval(again);
      expect(await answering).toBe('no answer');
      return ended;
    });

    expect(ending.code).toBe(1);
    expect(ending.ms).toBeLessThan(1_000);
    await gateway.start();
  });

  it('under load loses nothing and answers nothing but 200 and 503', async () => {
    // Without what the tests above stored: the verifier counts all there is.
    const own = await createTestDatabase();
    const loaded = await GatewayProcess.start({ databaseUrl: own.url });
    const result = await stopUnderLoad(loaded, own.url, await prepareGround(loaded), {
      stops: 2,
      acksBetween: 30,
      perSecond: 60,
      writers: 4,
    });
    await loaded.kill();
    await own.drop();

    expect(result.verdict).toEqual(flawless);
    expect(result.firstNotReady).toEqual([503, 503]);
    expect(result.closed).toEqual([1001, 1001]);
    for (const ending of result.endings) {
      expect(ending.code).toBe(0);
      expect(ending.ms).toBeLessThan(10_000);
    }
    expect(result.refusals.filter((status) => status !== 0 && status !== 503)).toEqual([]);
  });

  it('does not wait for an action endpoint that does not answer', async () => {
    const ending = await silentStop;

    expect(ending.code).toBe(0);
    expect(ending.ms).toBeLessThan(10_000);
  });
});

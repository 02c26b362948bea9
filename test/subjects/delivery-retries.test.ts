import { once } from 'node:events';
import { createServer } from 'node:net';
import { setImmediate as turn } from 'node:timers/promises';
import { gzipSync } from 'node:zlib';
import { beforeAll, describe, expect, it } from '@jest/globals';
import type { OutboundRequest } from '../../src/domain/outbound-http.ts';
import { type ActionEndpoint, type Answer, startActionEndpoint, success } from '../support/action-endpoint.ts';
import { type App, type Json, startApp } from '../support/app.ts';
import { messageNow, send, settled } from '../support/sending.ts';
import { until } from '../support/until.ts';

/** 2,000 times faster: 2.5 ms, 15 ms, 60 ms, 300 ms, 900 ms. */
const retryTimeScale = 0.0005;
const waitsMs = [5_000, 30_000, 120_000, 600_000, 1_800_000].map((wait) => wait * retryTimeScale);
/** The limit of one exchange is 50 times shorter here. */
const timeLimitScale = 0.02;

describe('a delivery that does not succeed at once', () => {
  let endpoint: ActionEndpoint;
  let app: App;
  let admin: string;
  let closedPort: number;
  const asked: OutboundRequest[] = [];
  beforeAll(async () => {
    endpoint = await startActionEndpoint();
    const gone = createServer().listen(0, '127.0.0.1');
    await once(gone, 'listening');
    closedPort = (gone.address() as { port: number }).port;
    gone.close();
    app = await startApp({
      settings: { retryTimeScale, outboundAllow: [endpoint.hostPort, `127.0.0.1:${closedPort}`] },
      outbound: (guarded) => ({
        ...guarded,
        call(request) {
          asked.push(request);
          return guarded.call({ ...request, timeoutMs: request.timeoutMs * timeLimitScale });
        },
      }),
    });
    admin = (await app.make.admin()).token;
  });

  const conversationAt = async (actionEndpoint: string) =>
    app.make.conversation({ source: await app.make.source({ actionEndpoint }) });

  const standing = async (sourceId: string): Promise<Json> => {
    const query =
      'query ($id: String!) { source(sourceId: $id) { reachable lastError deliveries { id legacyId attempt error statusCode durationMs } } }';
    return (await app.data(query, { id: sourceId }, admin)).source;
  };

  /** The first failure it shows while it waits for its next attempt. */
  const firstFailure = (message: { id: string }): Promise<Json> =>
    until(async () => (await messageNow(app, message)).failure);

  it.each([408, 425, 429, 500, 502, 503, 504, 599])('is tried again after %i, then delivered', async (status) => {
    const route = endpoint.route(({ attempt }) => (attempt < 3 ? { status, body: { error: 'not now' } } : success()));
    const message = await settled(app, await send(app, await conversationAt(route.url)));
    expect(message).toMatchObject({ deliveryState: 'DELIVERED', failure: null });
    expect(message.metadata).not.toHaveProperty('error');
    expect(route.calls.map(({ raw }) => raw)).toEqual(Array(3).fill(route.calls[0]!.raw));
    expect(new Set(route.calls.map(({ headers }) => headers['webhook-id']))).toEqual(
      new Set([`msg_${message.legacyId}`]),
    );
  });

  it('says meanwhile why it waits and until when', async () => {
    const route = endpoint.route(() => ({
      status: 503,
      headers: { 'retry-after': '3600' },
      body: { error: 'we rest' },
    }));
    const message = await send(app, await conversationAt(route.url));
    expect(await firstFailure(message)).toEqual({
      code: 'http_503',
      message: 'we rest',
      retryable: true,
      nextAttemptAt: expect.stringMatching(/^\d{4}-.*Z$/),
    });
    expect(await messageNow(app, message)).toMatchObject({ deliveryState: 'PENDING', metadata: {} });
  });

  it('fails after six attempts, each after its wait, and its source is unreachable until the next success', async () => {
    const route = endpoint.route(() => ({ status: 500, body: { error: 'we are broken' } }));
    const conversation = await conversationAt(route.url);
    const { sourceId } = conversation.source;
    expect(await standing(sourceId)).toMatchObject({ reachable: true, lastError: null });

    const message = await settled(app, await send(app, conversation));
    expect(message).toMatchObject({
      deliveryState: 'FAILED',
      failure: { code: 'http_500', message: 'we are broken', retryable: true, nextAttemptAt: null },
      metadata: { error: 'we are broken' },
    });
    const gaps = route.calls.slice(1).map(({ at }, index) => at - route.calls[index]!.at);
    expect(gaps).toHaveLength(5);
    for (const [index, gap] of gaps.entries()) {
      expect(gap).toBeGreaterThanOrEqual(waitsMs[index]! * 0.9 - 1);
      // A lane is claimed when it falls due, not by the poll a second later.
      expect(gap).toBeLessThan(waitsMs[index]! * 1.1 + 800);
    }
    const broken = await standing(sourceId);
    expect(broken).toMatchObject({ reachable: false, lastError: 'we are broken' });
    expect(broken.deliveries.map(({ attempt }: Json) => attempt)).toEqual([6, 5, 4, 3, 2, 1]);
    for (const name of ['id', 'legacyId']) {
      expect(new Set(broken.deliveries.map((one: Json) => one[name])).size).toBe(6);
    }

    route.answerBy(() => success());
    await app.rest('messages.resend', { message_id: message.legacyId }, { token: admin });
    expect((await settled(app, message)).deliveryState).toBe('DELIVERED');
    expect(await standing(sourceId)).toMatchObject({ reachable: true, lastError: null });
  });

  it('has six attempts again when it is sent again', async () => {
    const route = endpoint.route(() => ({ status: 500 }));
    const message = await settled(app, await send(app, await conversationAt(route.url)));
    await app.rest('messages.resend', { message_id: message.legacyId }, { token: admin });
    expect((await settled(app, message)).deliveryState).toBe('FAILED');
    expect(route.calls).toHaveLength(12);
  });

  describe('Retry-After, which RETRY_TIME_SCALE shortens like every wait between attempts,', () => {
    it('is waited for', async () => {
      const route = endpoint.route(({ attempt }) =>
        attempt === 1 ? { status: 429, headers: { 'retry-after': '1000' } } : success(),
      );
      await settled(app, await send(app, await conversationAt(route.url)));
      const [first, second] = route.calls;
      expect(second!.at - first!.at).toBeGreaterThanOrEqual(1_000_000 * retryTimeScale - 5);
    });

    it.each<[string, () => string, number, number]>([
      ['is honoured up to an hour', () => '999999', 3_600, 3_600],
      ['may be a date', () => new Date(Date.now() + 1_800_000).toUTCString(), 1_790, 1_800],
    ])('%s', async (_what, header, atLeast, atMost) => {
      const route = endpoint.route(() => ({ status: 503, headers: { 'retry-after': header() } }));
      const conversation = await conversationAt(route.url);
      const before = Date.now();
      const failure = await firstFailure(await send(app, conversation));
      const waitsUntil = Date.parse(failure.nextAttemptAt);
      expect(waitsUntil).toBeGreaterThanOrEqual(before + atLeast * 1_000 * retryTimeScale - 2);
      expect(waitsUntil).toBeLessThanOrEqual(Date.now() + atMost * 1_000 * retryTimeScale);
    });

    it.each<[string, string]>([
      ['never shortens the schedule', '1'],
      ['of the past counts for nothing', new Date(0).toUTCString()],
      ['below zero counts for nothing', '-1000'],
      ['that makes no sense counts for nothing', 'soon'],
    ])('%s', async (_what, header) => {
      const route = endpoint.route(({ attempt }) =>
        attempt <= 3 ? { status: 503, headers: { 'retry-after': header } } : success(),
      );
      await settled(app, await send(app, await conversationAt(route.url)));
      const [, , third, fourth] = route.calls;
      expect(fourth!.at - third!.at).toBeGreaterThanOrEqual(waitsMs[2]! * 0.9 - 1);
      expect(fourth!.at - third!.at).toBeLessThan(waitsMs[2]! + 500);
    });
  });

  it('goes out once more, in the same attempt, when the connection that was kept for it ends', async () => {
    const route = endpoint.route();
    const conversation = await conversationAt(route.url);
    await settled(app, await send(app, conversation));
    route.answerBy(({ attempt }) => (attempt === 1 ? (response) => response.socket?.resetAndDestroy() : success()));
    const message = await settled(app, await send(app, conversation));

    expect(message.deliveryState).toBe('DELIVERED');
    const [first, second, ...more] = route.callsOf(message.legacyId);
    expect([first?.headers['webhook-id'], second?.raw]).toEqual([second?.headers['webhook-id'], first?.raw]);
    expect(more).toEqual([]);
    const { deliveries } = await standing(conversation.source.sourceId);
    expect(deliveries).toMatchObject([
      { attempt: 1, error: null },
      { attempt: 1, error: null },
    ]);
  });

  describe('is tried again after', () => {
    it.each<[string, Answer]>([
      ['a connection that ends before the answer', (response) => response.socket?.destroy()],
      [
        'an answer that ends too early',
        (response) => {
          response.writeHead(200, { 'content-length': '1000' });
          response.write('{"source', () => response.socket?.destroy());
        },
      ],
    ])('%s', async (_what, answer) => {
      // One of its own, so that no kept connection leads there: the call would go out once more in the same attempt.
      const fresh = await startActionEndpoint();
      app.core.outbound.allow(fresh.hostPort);
      const route = fresh.route(({ attempt }) => (attempt === 1 ? answer : success()));
      const conversation = await conversationAt(route.url);
      expect((await settled(app, await send(app, conversation))).deliveryState).toBe('DELIVERED');
      const { deliveries } = await standing(conversation.source.sourceId);
      expect(deliveries).toMatchObject([
        { error: null },
        { statusCode: null, error: expect.stringContaining('ended before') },
      ]);
    });

    it.each<[string, (address: string) => string, string]>([
      ['a refused connection', () => `http://127.0.0.1:${closedPort}/`, 'connect'],
      ['a secure connection that fails', (address) => address.replace('http', 'https'), 'tls'],
    ])('%s', async (_what, addressOf, code) => {
      const message = await send(app, await conversationAt(addressOf(endpoint.route().url)));
      expect(await firstFailure(message)).toMatchObject({ code, retryable: true });
    });

    it.each<[string, Answer]>([
      ['15 s without an answer', () => undefined],
      [
        '15 s when only the headers came',
        (response) => {
          response.writeHead(200, { 'content-length': '1000' });
          response.flushHeaders();
        },
      ],
      [
        '15 s when the answer drips byte by byte',
        (response) => {
          const drip = setInterval(() => response.write(' '), 10);
          response.once('close', () => clearInterval(drip));
        },
      ],
    ])('%s', async (_what, answer) => {
      const route = endpoint.route(({ attempt }) => (attempt === 1 ? answer : success()));
      const conversation = await conversationAt(route.url);
      expect((await settled(app, await send(app, conversation))).deliveryState).toBe('DELIVERED');
      const { deliveries } = await standing(conversation.source.sourceId);
      expect(deliveries[1]).toMatchObject({
        statusCode: null,
        error: expect.stringContaining('no full answer within'),
      });
      expect(deliveries[1].durationMs).toBeGreaterThanOrEqual(295);
      expect(deliveries[1].durationMs).toBeLessThan(310 + 200);
      const [request] = asked.filter(({ url }) => url === route.url);
      expect(request).toMatchObject({ timeoutMs: 15_000, maxAnswerBytes: 256 * 1024 });
    });
  });

  describe('fails at once, cut at 256 KiB, with', () => {
    let sent = 0;
    const block = Buffer.alloc(64 * 1024, ' ');
    const pour = async (response: Parameters<Extract<Answer, (...given: never[]) => void>>[0], bytes: number) => {
      for (sent = 0; sent < bytes && !response.destroyed; sent += block.length) {
        if (!response.write(block)) await Promise.race([once(response, 'drain'), once(response, 'close')]);
        await turn();
      }
      response.end();
    };

    it.each<[string, Answer]>([
      [
        'an answer of 100 MB',
        (response) => {
          response.writeHead(200, { 'content-length': String(100 * 1024 * 1024) });
          void pour(response, 100 * 1024 * 1024);
        },
      ],
      ['an endless answer', (response) => void pour(response, Number.POSITIVE_INFINITY)],
      ['a gzip bomb', { headers: { 'content-encoding': 'gzip' }, body: gzipSync(Buffer.alloc(50 * 1024 * 1024)) }],
    ])('%s', async (_what, answer) => {
      sent = 0;
      const route = endpoint.route(() => answer);
      const message = await settled(app, await send(app, await conversationAt(route.url)));
      expect(message).toMatchObject({ deliveryState: 'FAILED', failure: { code: 'too-large' } });
      expect(route.calls).toHaveLength(1);
      await until(async () => route.inFlight === 0);
      // What the kernels of both sides hold comes on top of what was read.
      expect(sent).toBeLessThan(20 * 1024 * 1024);
    });
  });
});

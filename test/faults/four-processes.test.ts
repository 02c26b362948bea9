import { once } from 'node:events';
import { afterAll, beforeAll, describe, expect, it, jest } from '@jest/globals';
import { WebSocket } from 'ws';
import { success } from '../support/action-endpoint.ts';
import { figure, scrape } from '../support/metrics.ts';
import { until } from '../support/until.ts';
import { type FourProcesses, settledMessages, startFourProcesses } from './four-processes.ts';
import { GatewayProcess } from './gateway-process.ts';
import { compareHeard, endSubscribers, InboxSubscriber, readLog } from './inbox-subscriber.ts';
import { flawless, verify } from './verifier.ts';
import { WebhookLoad } from './webhook-load.ts';

// Processes start and events are awaited: under other load that takes its time.
jest.setTimeout(60_000);

const delivered = async (url: string) =>
  figure(await scrape(url), 'parley_deliveries_total', { result: 'delivered' }) ?? 0;

describe('gateways and workers apart, two of each on one database', () => {
  let four: FourProcesses;
  beforeAll(async () => {
    four = await startFourProcesses();
  });
  afterAll(async () => {
    endSubscribers();
    await four?.stop();
  });

  it('lets both gateways take webhooks, and subscribers of both hear all of them', async () => {
    const { gateways, ground, databaseUrl } = four;
    const urls = gateways.map(({ url }) => url);
    const subscribers = gateways.flatMap(({ wsUrl }) =>
      Array.from(
        { length: 3 },
        () => new InboxSubscriber(wsUrl, { token: ground.adminToken, after: ground.cursor, comesBack: false }),
      ),
    );
    const load = new WebhookLoad({ urls, ground, perSecond: 40, seed: 7 });
    await load.reached(() => load.acks >= 60);
    const ledger = await load.stop();
    const log = await readLog(databaseUrl, ground.cursor);
    await until(async () => subscribers.every(({ heard }) => heard.length >= log.length));

    for (const subscriber of subscribers) {
      expect(compareHeard(subscriber.heard, log)).toEqual({ missed: 0, twice: 0, unknown: 0, isOrdered: true });
    }
    const { sourceId } = ground.source;
    const api = { url: urls[1]!, token: ground.adminToken };
    expect(await verify(ledger, { databaseUrl, sourceId, api })).toEqual(flawless);
    const sent = ledger.batches.reduce((sum, { messages }) => sum + messages.length, 0);
    const taken = await Promise.all(
      urls.map(async (url) => figure(await scrape(url), 'parley_ingest_messages_total', { result: 'accepted' }) ?? 0),
    );
    expect(taken[0]! + taken[1]!).toBe(sent);
    for (const count of taken) expect(count).toBeGreaterThan(0);
    for (const url of urls) {
      const now = await scrape(url);
      expect(figure(now, 'parley_sockets_open')).toBe(3);
      expect(figure(now, 'parley_events_delivered_total')).toBe(3 * log.length);
    }
  });

  it('leaves to workers what gateways take on, and each is called once, some by either', async () => {
    const { gateways, workers, endpoint, sql } = four;
    const routes = Array.from({ length: 4 }, () =>
      endpoint.route(async () => {
        await new Promise((resolve) => setTimeout(resolve, 20));
        return success();
      }),
    );
    const ids = await four.conversations(routes, 10);
    const early = await four.sendToEach(ids.slice(0, 10));
    // Longer than a worker looks away: the oldest has waited for over a second.
    await until(async () => (figure(await scrape(gateways[0].url), 'parley_job_oldest_age_seconds') ?? 0) > 1.2);
    expect(figure(await scrape(gateways[1].url), 'parley_jobs_waiting')).toBe(10);
    const [lanes] = await sql<{ claims: number }>(
      `select sum(attempts)::int claims from lane where kind = 'conversation'`,
    );
    expect(lanes?.claims).toBe(0);
    await Promise.all(workers.map((worker) => worker.start()));
    const later = [...(await four.sendToEach(ids)), ...(await four.sendToEach(ids))];
    const stored = await settledMessages(four);

    const calls = routes.flatMap((route) => route.calls);
    expect(calls).toHaveLength(90);
    expect(new Set(calls.map(({ messageId }) => messageId))).toEqual(new Set([...early, ...later]));
    for (const message of stored) expect(message).toMatchObject({ state: 'DELIVERED', terminals: 1, attempts: 1 });
    const byWorkers = await Promise.all(workers.map(({ url }) => delivered(url)));
    process.stdout.write(`four processes: delivered by the workers ${byWorkers.join(' and ')}\n`);
    expect(byWorkers[0]! + byWorkers[1]!).toBe(90);
    for (const count of byWorkers) expect(count).toBeGreaterThan(0);
    for (const { url } of gateways) expect(await delivered(url)).toBe(0);
  });

  it('shows of a worker its health and its metrics, and nothing of the API', async () => {
    const { workers, ground } = four;
    const [{ url, wsUrl }] = workers;
    const status = async (path: string, method = 'GET') => {
      const answer = await fetch(`${url}${path}`, { method, headers: { authorization: ground.adminToken } });
      await answer.arrayBuffer();
      return answer.status;
    };
    for (const path of ['/health/live', '/health/ready', '/metrics'])
      expect([path, await status(path)]).toEqual([path, 200]);
    for (const path of ['/', '/graphql', '/graphiql', '/conversations.list']) {
      expect([path, await status(path), await status(path, 'POST')]).toEqual([path, 404, 404]);
    }
    const socket = new WebSocket(wsUrl, 'graphql-transport-ws').on('error', () => undefined);
    const [, refusal] = await once(socket, 'unexpected-response');
    expect(refusal.statusCode).toBe(404);
  });

  it('tells on each of the four how the work stands', async () => {
    const { gateways, workers } = four;
    for (const { url } of [...gateways, ...workers]) {
      await until(async () => figure(await scrape(url), 'parley_jobs_waiting') === 0);
      const now = await scrape(url);
      expect(figure(now, 'parley_job_oldest_age_seconds')).toBe(0);
      expect(figure(now, 'parley_db_pool_size')).toBe(6);
      expect(figure(now, 'parley_db_pool_waiting')).toBe(0);
      expect(figure(now, 'parley_process_resident_memory_bytes')).toBeGreaterThan(10_000_000);
      expect(figure(now, 'parley_nodejs_eventloop_lag_p99_seconds')).toBeLessThan(10);
    }
    for (const { url } of gateways) {
      await until(async () => figure(await scrape(url), 'parley_event_lag_seconds') === 0);
    }
    // What a worker does not have it does not tell of.
    for (const { url } of workers) {
      expect(figure(await scrape(url), 'parley_sockets_open')).toBeUndefined();
      expect(figure(await scrape(url), 'parley_event_lag_seconds')).toBeUndefined();
    }
  });

  it('counts failed sign-ins of both gateways together', async () => {
    const [one, other] = four.gateways;
    const logIn = (gateway: GatewayProcess, password: string) =>
      gateway.post('users.login', { email: 'ada@example.com', password });
    for (let n = 0; n < 10; n += 1) expect((await logIn(n % 2 === 0 ? one : other, 'wrong horse')).status).toBe(401);
    for (const gateway of [one, other]) expect((await logIn(gateway, 'correct horse')).status).toBe(429);
  });

  it('lets a worker without a PORT listen on nothing, and end when it is told', async () => {
    const worker = await GatewayProcess.prepare({
      databaseUrl: four.databaseUrl,
      env: { ROLE: 'worker', PORT: '', LOG_LEVEL: 'info' },
    });
    worker.launch();
    await until(async () => worker.output.includes('the worker runs'));
    expect(worker.output).not.toContain('listening');
    expect(worker.output).not.toContain('"url"');
    expect((await worker.terminate()).code).toBe(0);
  });
});

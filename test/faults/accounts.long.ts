import { setTimeout as sleep } from 'node:timers/promises';
import { beforeAll, expect, it, jest } from '@jest/globals';
import { createTestDatabase } from '../support/database.ts';
import { makePlace, type Tested, testedProcess } from './action-ground.ts';
import { timeEnumeration } from './enumeration-run.ts';
import { tellFigures } from './figures.ts';
import { GatewayProcess } from './gateway-process.ts';
import { rssMb, watchRss } from './process-figures.ts';
import { percentile, WebhookLoad } from './webhook-load.ts';

jest.setTimeout(300_000);

let gateway: GatewayProcess;
let tested: Tested;
beforeAll(async () => {
  const { url } = await createTestDatabase();
  const env = { TRUST_PROXY: 'on', DB_POOL: '10' };
  gateway = await GatewayProcess.start({
    databaseUrl: url,
    env,
    nodeArgs: ['--max-semi-space-size=4', '--heap-growing-percent=180'],
  });
  tested = await testedProcess(gateway, url);
});

it.each(['users.login', 'users.request-password-reset'] as const)(
  'T2 in full: 200 known and 200 unknown addresses take the same time at %s',
  async (path) => {
    const time = () => timeEnumeration(tested, { name: `T2 ${path}`, path, calls: 200 });
    const first = await time();
    // One in a hundred looks different by chance; what is different is so again.
    const timing = first.p > 0.01 ? first : await time();

    expect(Math.abs(timing.medianDifference)).toBeLessThanOrEqual(5);
    expect(timing.p).toBeGreaterThan(0.01);
  },
);

it('A4 in full: 50 logins a second for 20 s leave the others quick', async () => {
  const perSecond = 50;
  const { sourceId, token } = await makePlace(tested, undefined, 0);
  const ground = { adminToken: tested.adminToken, source: { sourceId, token }, sourceChannelId: 'c', cursor: '' };
  const load = new WebhookLoad({ urls: [gateway.url], ground, writers: 4, perSecond: 20, perBatch: 5 });
  await load.reached(({ acks }) => acks >= 60);
  const rssBefore = rssMb(gateway.pid);
  const rss = watchRss(gateway.pid);
  const login = async () => {
    const { status, headers } = await gateway.post('users.login', {
      email: 'ada@example.com',
      password: 'correct horse',
    });
    return status === 503 && Number(headers.get('retry-after')) >= 1 ? '503 with Retry-After' : String(status);
  };
  const logins: Promise<string>[] = [];
  const begunAt = performance.now();
  for (let n = 0; n < perSecond * 20; n += 1) {
    await sleep(Math.max(0, begunAt + (n * 1_000) / perSecond - performance.now()));
    logins.push(login());
  }
  const answers = Map.groupBy(await Promise.all(logins), (answer) => answer);
  const growth = rss.stop() - rssBefore;
  const ledger = await load.stop();

  const lost = ledger.batches.filter(({ isAcked }) => !isAcked).length;
  const p99 = percentile(ledger.latencies, 0.99);
  const counts = [...answers].map(([answer, all]) => `${answer.replaceAll(' ', '-')}=${all.length}`).join(' ');
  const figures = { lost, dup: 'n/a', phantom: 'n/a', stuck: 'n/a', p99, rss: gateway.peakRssMb } as const;
  tellFigures('A4 flood of logins', figures, `${counts} rss-growth=${growth.toFixed(1)}MB`);
  expect(lost).toBe(0);
  expect([...answers.keys()].filter((answer) => !['200', '503 with Retry-After'].includes(answer))).toEqual([]);
  expect(answers.get('200')?.length).toBeGreaterThan(0);
  expect(p99).toBeLessThanOrEqual(250);
  expect(growth).toBeLessThanOrEqual(150);
});

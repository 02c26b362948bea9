import { afterAll, expect, it, jest } from '@jest/globals';
import { success } from '../support/action-endpoint.ts';
import { figure, scrape } from '../support/metrics.ts';
import { until } from '../support/until.ts';
import { type FourProcesses, settledMessages, startFourProcesses } from './four-processes.ts';

jest.setTimeout(180_000);
let four: FourProcesses | undefined;
afterAll(() => four?.stop());

it('lets the other worker take over what a killed one held, when its lease of 60 s ends', async () => {
  four = await startFourProcesses();
  const { workers, endpoint } = four;
  let isHeld = true;
  const routes = Array.from({ length: 4 }, () =>
    endpoint.route(async () => {
      await until(async () => !isHeld, 120_000);
      return success();
    }),
  );
  const ids = await four.conversations(routes, 6);
  const [first, second] = workers;
  await first.start();
  const sent = await four.sendToEach(ids);
  const calls = () => routes.flatMap((route) => route.calls);
  await until(async () => calls().length >= 16);
  await first.kill();
  const killedAt = performance.now();
  const begun = new Set(calls().map(({ messageId }) => messageId));
  isHeld = false;
  await second.start();
  const stored = await settledMessages(four, 90_000);
  const tookMs = performance.now() - killedAt;

  expect(stored.map(({ id }) => id).sort()).toEqual([...sent].sort());
  for (const message of stored) expect(message).toMatchObject({ state: 'DELIVERED', terminals: 1, attempts: 1 });
  // Only what was in flight is called again, with the id that it had.
  for (const id of sent) {
    const own = calls().filter(({ messageId }) => messageId === id);
    expect([id, own.length]).toEqual([id, begun.has(id) ? 2 : 1]);
    expect(new Set(own.map(({ headers }) => headers['webhook-id'])).size).toBe(1);
  }
  expect(figure(await scrape(second.url), 'parley_deliveries_total', { result: 'delivered' })).toBe(sent.length);
  expect(tookMs).toBeLessThan(75_000);
  process.stdout.write(`four processes: ${begun.size} in flight taken over after ${(tookMs / 1000).toFixed(1)} s\n`);
});

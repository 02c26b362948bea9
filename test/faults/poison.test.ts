import { expect, it, jest } from '@jest/globals';
import { startActionEndpoint } from '../support/action-endpoint.ts';
import { startApp } from '../support/app.ts';
import { testedApp } from './action-ground.ts';
import { sendBehindPoison } from './poison-run.ts';

jest.setTimeout(60_000);

it('ends as FAILED, can be sent again, and lets good ones of other lanes pass (F15)', async () => {
  const endpoint = await startActionEndpoint();
  const app = await startApp({ settings: { retryTimeScale: 0.001, outboundAllow: [endpoint.hostPort] } });
  const form = { name: 'F15 poison, short', poison: 3, good: 60 };
  const { factor, ...result } = await sendBehindPoison(await testedApp(app), endpoint, form);

  expect(result).toEqual({
    codes: { throws: ['attempts_used_up'], large: ['http_413'], refused: ['http_500'] },
    unlisted: 0,
    notReplayed: 0,
    lost: 0,
  });
  expect(factor).toBeLessThan(5);
});

import { expect, it, jest } from '@jest/globals';
import { startActionEndpoint } from '../support/action-endpoint.ts';
import { createTestDatabase } from '../support/database.ts';
import { testedProcess } from './action-ground.ts';
import { GatewayProcess } from './gateway-process.ts';
import { sendBehindPoison } from './poison-run.ts';

jest.setTimeout(300_000);

it('F15 in full: 90 poisoned messages before 1,000 good ones of other lanes', async () => {
  const { url } = await createTestDatabase();
  const endpoint = await startActionEndpoint();
  const env = { OUTBOUND_ALLOW: endpoint.hostPort, RETRY_TIME_SCALE: '0.01', DB_POOL: '10' };
  const gateway = await GatewayProcess.start({ databaseUrl: url, env });
  const form = { name: 'F15 poison', poison: 30, good: 1_000 };
  const { factor, ...result } = await sendBehindPoison(await testedProcess(gateway, url), endpoint, form);

  expect(result).toEqual({
    codes: { throws: ['attempts_used_up'], large: ['http_413'], refused: ['http_500'] },
    unlisted: 0,
    notReplayed: 0,
    lost: 0,
  });
  expect(factor).toBeLessThanOrEqual(1.2);
  expect(await gateway.readiness()).toBe(200);
});

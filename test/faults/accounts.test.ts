import { expect, it, jest } from '@jest/globals';
import { startApp } from '../support/app.ts';
import { testedApp } from './action-ground.ts';
import { timeEnumeration } from './enumeration-run.ts';

jest.setTimeout(60_000);

it('takes as long for an unknown address as for a known one (T2)', async () => {
  const tested = await testedApp(await startApp({ settings: { trustProxy: true } }));
  for (const path of ['users.login', 'users.request-password-reset'] as const) {
    const { median, medianDifference } = await timeEnumeration(tested, { name: `T2 ${path}, short`, path, calls: 24 });

    // A password that is not compared shows in far more than this, on a busy machine too.
    expect(Math.abs(medianDifference)).toBeLessThan(Math.max(median / 2, 10));
  }
});

import { afterEach, describe, expect, it } from '@jest/globals';
import type { Core } from '../../src/domain/context.ts';
import { type PoolState, type Vitals, type VitalsParts, watchVitals } from '../../src/server/vitals.ts';
import { until } from '../support/until.ts';

const calm: PoolState = { inUse: 1, open: 1, waiting: 0, most: 6, longestWaitMs: 0 };
const started: Vitals[] = [];
afterEach(() => {
  for (const vitals of started.splice(0)) vitals.stop();
});

function watched(parts: Partial<VitalsParts> = {}) {
  const warnings: { ms: number; text: string }[] = [];
  const log = {
    warn: ({ ms }: { ms: number }, text: string) => warnings.push({ ms, text }),
  } as unknown as Core['log'];
  const vitals = watchVitals({
    log,
    connections: () => calm,
    readBacklog: () => Promise.reject(new Error('nobody asks')),
    passwordQueue: () => 0,
    ...parts,
  });
  started.push(vitals);
  return { vitals, warnings };
}

/** Lets nothing else run. */
function standStill(ms: number): void {
  const end = performance.now() + ms;
  while (performance.now() < end);
}

describe('the vitals of a process', () => {
  it('warn once when the event loop stood still, and remember for how long', async () => {
    const { vitals, warnings } = watched();
    standStill(700);
    await until(async () => warnings.length > 0);
    standStill(700);
    await until(async () => vitals.longestLagMs() > 0);
    expect(vitals.longestLagMs()).toBeGreaterThanOrEqual(600);
    expect(warnings).toHaveLength(1);
    expect(warnings[0]!.text).toMatch(/event loop/);
    expect(warnings[0]!.ms).toBeGreaterThanOrEqual(500);
  });

  it('warn once when somebody waits long for a connection', async () => {
    let looks = 0;
    const { warnings } = watched({
      connections: () => {
        looks += 1;
        return { ...calm, waiting: 3, longestWaitMs: 1_001 };
      },
    });
    await until(async () => looks >= 3);
    expect(warnings.filter(({ text }) => text.includes('database connection'))).toHaveLength(1);
  });

  it('do not warn while nothing is wrong', async () => {
    let looks = 0;
    const { warnings } = watched({
      connections: () => {
        looks += 1;
        return { ...calm, waiting: 3, longestWaitMs: 900 };
      },
    });
    await until(async () => looks >= 2);
    expect(warnings.filter(({ text }) => text.includes('database connection'))).toEqual([]);
  });

  it('ask the database once for all who ask within a second, and do without what it does not say', async () => {
    let asked = 0;
    const { vitals } = watched({
      readBacklog: () => {
        asked += 1;
        return Promise.reject(new Error('the database is away'));
      },
    });
    expect(await Promise.all([vitals.backlog(), vitals.backlog(), vitals.backlog()])).toEqual([
      undefined,
      undefined,
      undefined,
    ]);
    expect(asked).toBe(1);
    await until(async () => {
      await vitals.backlog();
      return asked === 2;
    });
  });
});

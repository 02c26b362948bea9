import { describe, expect, it, jest } from '@jest/globals';
import { faultOverJourneys } from './journeys-run.ts';

// Processes start and end: under other load that takes its time.
jest.setTimeout(120_000);

describe('journeys under faults', () => {
  it('lose no event and do none twice while the worker is killed (F1)', async () => {
    const fault = { signal: 'SIGKILL', times: 1 } as const;
    expect(await faultOverJourneys({ name: 'F1 journeys, short', journeys: 6, rounds: 4, fault })).toEqual({
      stuck: [],
      wrong: [],
      lanes: 0,
    });
  });

  it('go on elsewhere while the worker is stopped, and it does nothing twice when it comes back (F16)', async () => {
    const fault = { signal: 'SIGSTOP' } as const;
    expect(await faultOverJourneys({ name: 'F16 journeys, short', journeys: 6, rounds: 4, fault })).toEqual({
      stuck: [],
      wrong: [],
      lanes: 0,
    });
  });
});

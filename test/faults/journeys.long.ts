import { describe, expect, it, jest } from '@jest/globals';
import { faultOverJourneys } from './journeys-run.ts';

jest.setTimeout(600_000);

describe('journeys under faults, full form', () => {
  const flawless = { stuck: [], wrong: [], lanes: 0 };

  it('lose no event and do none twice over 20 kills (F1)', async () => {
    const fault = { signal: 'SIGKILL', times: 20 } as const;
    expect(await faultOverJourneys({ name: 'F1 journeys, 20 kills', journeys: 100, rounds: 30, fault })).toEqual(
      flawless,
    );
  });

  it('go on elsewhere while the worker is stopped (F16)', async () => {
    const fault = { signal: 'SIGSTOP' } as const;
    expect(await faultOverJourneys({ name: 'F16 journeys', journeys: 100, rounds: 30, fault })).toEqual(flawless);
  });
});

import { expect, it, jest } from '@jest/globals';
import { type TakeOverForm, takenOver, takeOver } from './take-over-run.ts';

// A process starts: under other load that takes its time.
jest.setTimeout(60_000);

const form = { conversations: 12, messages: 3, stoppedMs: 0 };

it('repeats only the calls in flight, with the same webhook-id, when a worker is killed (F6)', async () => {
  const killed: TakeOverForm = { ...form, name: 'F6 kill in mid delivery, short', signal: 'SIGKILL' };
  expect(await takeOver(killed)).toEqual(takenOver(killed));
});

it('writes a final state once when a stopped worker wakes up after its leases are over (F16)', async () => {
  const stopped: TakeOverForm = { ...form, name: 'F16 stopped, short', signal: 'SIGSTOP' };
  expect(await takeOver(stopped)).toEqual(takenOver(stopped));
});

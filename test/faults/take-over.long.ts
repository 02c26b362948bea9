import { expect, it, jest } from '@jest/globals';
import { type TakeOverForm, takenOver, takeOver } from './take-over-run.ts';

jest.setTimeout(300_000);

const form = { conversations: 40, messages: 3 };

it('F6 in full: the calls of a killed worker go out again when its leases run out by themselves', async () => {
  const killed: TakeOverForm = { ...form, name: 'F6 kill in mid delivery', signal: 'SIGKILL', stoppedMs: 60_000 };
  expect(await takeOver(killed)).toEqual(takenOver(killed));
});

it('F16 in full: a worker that is stopped for 90 s finds its lanes lost', async () => {
  const stopped: TakeOverForm = { ...form, name: 'F16 stopped for 90 s', signal: 'SIGSTOP', stoppedMs: 90_000 };
  expect(await takeOver(stopped)).toEqual(takenOver(stopped));
});

import { readFileSync } from 'node:fs';
import { expect, it, jest } from '@jest/globals';
import { gatherCrowd } from './crowd-run.ts';

jest.setTimeout(600_000);

const subscribers = 10_000;
// Node takes as many as it may have; the gateway has a few beside its sockets.
const mostFiles = Number(
  /Max open files\s+\d+\s+(\d+)/.exec(readFileSync('/proc/self/limits', 'utf8'))?.[1] ?? Infinity,
);
const enough = mostFiles >= subscribers + 1_000;
if (!enough) process.stdout.write(`F10 is left out: ulimit -Hn is ${mostFiles}, it needs ${subscribers + 1_000}\n`);

(enough ? it : it.skip)('F10 in full: 10,000 subscribers cost little, and stay', async () => {
  const result = await gatherCrowd({ subscribers, hearers: 100, idleMs: 120_000, events: 60, ingestMs: 15_000 });

  expect(result.faults).toBe(0);
  expect(result.heard).toBe(6_000);
  expect(result.kbEach).toBeLessThanOrEqual(30);
  expect(result.p99Ms).toBeLessThanOrEqual(150);
  expect(result.ingestDrop).toBeLessThanOrEqual(0.15);
});

import { expect, it } from '@jest/globals';
import { Pace } from '../../src/graphql/live-pace.ts';

const results = (count: number, length: number) => Array.from({ length: count }, () => ({ json: 'x'.repeat(length) }));

it('events with small results are executed more and more at once, up to 64', () => {
  const pace = new Pace();
  const counts = Array.from({ length: 8 }, () => {
    const { count } = pace;
    pace.note([...results(count - 1, 300), undefined]);
    return count;
  });
  expect(counts).toEqual([1, 2, 4, 8, 16, 32, 64, 64]);
});

it('events with large results come one by one, and faster again when they are small', () => {
  const pace = new Pace();
  for (let chunk = 0; chunk < 6; chunk += 1) pace.note(results(pace.count, 100));
  pace.note(results(64, 16 * 1024));
  expect(pace.count).toBe(32);
  pace.note(results(32, 64 * 1024));
  expect(pace.count).toBe(8);
  pace.note(results(8, 4 * 1024 * 1024));
  expect(pace.count).toBe(1);
  pace.note(results(1, 4 * 1024 * 1024));
  expect(pace.count).toBe(1);
  // Refused for its size: it took as much all the same.
  pace.note([{ json: '{"errors":[]}', took: 10_000_000 }]);
  expect(pace.count).toBe(1);
  pace.note(results(1, 100));
  expect(pace.count).toBe(2);
});

import { expect, it } from '@jest/globals';
import { RequestReads } from '../../src/domain/request-reads.ts';

const megabyte = 1024 * 1024;

it('the reads of one request run three at a time', async () => {
  const reads = new RequestReads();
  const ends: (() => void)[] = [];
  const done = Array.from({ length: 5 }, () => reads.run(() => new Promise<void>((resolve) => ends.push(resolve))));
  expect(ends).toHaveLength(3);
  ends[0]!();
  await done[0];
  expect(ends).toHaveLength(4);
  for (let end = 1; end < 5; end += 1) {
    ends[end]!();
    await done[end];
  }
});

it('a request that has read too much reads no more, and a read that fails makes room', async () => {
  const reads = new RequestReads();
  await expect(reads.run(() => Promise.reject(new Error('away')))).rejects.toThrow('away');
  const read = (megabytes: number) =>
    reads.run(async (count) => {
      count(megabytes * megabyte);
      return 'rows';
    });
  expect(await read(24)).toBe('rows');
  expect(await read(1)).toBe('rows');
  await expect(read(0)).rejects.toMatchObject({ code: 'TOO_LARGE' });
});

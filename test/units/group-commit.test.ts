import { describe, expect, it } from '@jest/globals';
import { InvalidInput, Unavailable } from '../../src/domain/errors.ts';
import { GroupCommit, mayBeOneEntrysFault } from '../../src/domain/group-commit.ts';

const withCode = (code: string): Error => Object.assign(new Error('of the database'), { code });

/** A group commit whose first group is the first entry alone, so that all others come as one group. */
function groupOf(run: (entries: string[]) => Promise<string[]>, answerMs = 10_000) {
  const groups: string[][] = [];
  const commit = new GroupCommit<string, string>(
    async (entries) => {
      groups.push(entries);
      const values = await run(entries);
      return values.map((value) => ({ ok: true, value }));
    },
    { group: 100, queue: 1_000, atOnce: 1, answerMs },
    mayBeOneEntrysFault,
  );
  const join = async (entries: string[]) => {
    const settled = await Promise.allSettled(entries.map((entry) => commit.join(entry, 1)));
    return settled.map((one) => (one.status === 'fulfilled' ? one.value : one.reason.code));
  };
  return { groups, join };
}

describe('A group commit', () => {
  it('refuses what would wait for too long, and takes the next when there is room again', async () => {
    const gate = Promise.withResolvers<void>();
    const commit = new GroupCommit<string, string>(
      async (entries) => {
        await gate.promise;
        return entries.map((value) => ({ ok: true, value }));
      },
      { group: 10, queue: 20, atOnce: 1, answerMs: 10_000 },
      mayBeOneEntrysFault,
    );
    const running = commit.join('running', 10);
    const waiting = commit.join('waiting', 20);
    await expect(commit.join('one more', 1)).rejects.toMatchObject({ code: 'UNAVAILABLE', retryAfterMs: 1_000 });
    gate.resolve();
    expect(await Promise.all([running, waiting])).toEqual(['running', 'waiting']);
    expect(await commit.join('one more', 1)).toBe('one more');
  });
});

describe('A group that fails', () => {
  it('by a fault of one entry runs again entry by entry: the bad one fails alone', async () => {
    const { groups, join } = groupOf(async (entries) => {
      if (entries.includes('bad')) throw withCode('22021');
      return entries.map((entry) => `${entry} is in`);
    });
    expect(await join(['first', 'a', 'bad', 'b'])).toEqual(['first is in', 'a is in', '22021', 'b is in']);
    expect(groups).toEqual([['first'], ['a', 'bad', 'b'], ['a'], ['bad'], ['b']]);
  });

  it('because the database is away fails at once and as a whole', async () => {
    const { groups, join } = groupOf(async () => {
      throw withCode('ECONNREFUSED');
    });
    expect(await join(['first', 'a', 'b', 'c'])).toEqual(Array(4).fill('ECONNREFUSED'));
    expect(groups).toEqual([['first'], ['a', 'b', 'c']]);
  });

  it('by an entry, and then because the database goes away, does not ask for the rest', async () => {
    const { groups, join } = groupOf(async (entries) => {
      if (entries.length > 1) throw withCode('23505');
      if (entries[0] === 'b') throw withCode('57P01');
      return entries;
    });
    expect(await join(['first', 'a', 'b', 'c', 'd'])).toEqual(['first', 'a', '57P01', '57P01', '57P01']);
    expect(groups).toEqual([['first'], ['a', 'b', 'c', 'd'], ['a'], ['b']]);
  });
});

describe('A group that hangs', () => {
  it('keeps nobody for longer than the patience, neither who is in it nor who waits behind', async () => {
    const { groups, join } = groupOf(() => new Promise(() => undefined), 20);

    expect(await join(['first', 'a', 'b'])).toEqual(['UNAVAILABLE', 'UNAVAILABLE', 'UNAVAILABLE']);
    expect(groups).toEqual([['first']]);
  });

  it('and fails after the patience of all is not done again one by one: they were told to come again', async () => {
    const hung = Promise.withResolvers<string[]>();
    const { groups, join } = groupOf(
      (entries) => (entries[0] === 'first' || entries[0] === 'z' ? Promise.resolve(entries) : hung.promise),
      20,
    );
    expect(await join(['first', 'a', 'b'])).toEqual(['first', 'UNAVAILABLE', 'UNAVAILABLE']);
    hung.reject(withCode('57014'));

    expect(await join(['z'])).toEqual(['z']);
    expect(groups).toEqual([['first'], ['a', 'b'], ['z']]);
  });

  it('is not followed by the work of those who gave up', async () => {
    const first = Promise.withResolvers<string[]>();
    const { groups, join } = groupOf(
      (entries) => (entries[0] === 'first' ? first.promise : Promise.resolve(entries)),
      20,
    );
    await join(['first', 'a']);
    first.resolve(['first']);

    expect(await join(['b'])).toEqual(['b']);
    expect(groups).toEqual([['first'], ['b']]);
  });
});

describe('What one entry can cause', () => {
  it.each(['22021', '22P02', '23505', '54000', '57014'])('is %s', (code) => {
    expect(mayBeOneEntrysFault(withCode(code))).toBe(true);
  });

  it.each(['08006', '53300', '57P01', '57P03', '40001', '40P01', 'ECONNRESET', 'EPIPE', 'ENOENT'])(
    'is not %s',
    (code) => {
      expect(mayBeOneEntrysFault(withCode(code))).toBe(false);
    },
  );

  it('is a mistake of ours, not a connection that was lost or never had', () => {
    expect(mayBeOneEntrysFault(new TypeError('undefined is not a function'))).toBe(true);
    expect(mayBeOneEntrysFault(new InvalidInput('metadata', 'too deep'))).toBe(true);
    expect(mayBeOneEntrysFault(new Error('timeout exceeded when trying to connect'))).toBe(false);
    expect(mayBeOneEntrysFault(new Error('Connection terminated unexpectedly'))).toBe(false);
    expect(mayBeOneEntrysFault(new Unavailable())).toBe(false);
  });
});

import { InvalidInput, Unavailable } from './errors.ts';
import { sqlState } from './transaction.ts';

/** What became of one entry of a group. */
export type Outcome<Result> = { ok: true; value: Result } | { ok: false; error: unknown };

interface Waiting<Entry, Result> {
  entry: Entry;
  weight: number;
  resolve(value: Result): void;
  reject(error: unknown): void;
  /** Of its patience. */
  timer?: NodeJS.Timeout;
  /** It was told 503 and may come again: it must not be done behind its back. */
  isGivenUp?: boolean;
}

const programmingErrors = new Set(['TypeError', 'RangeError', 'ReferenceError', 'SyntaxError']);

/**
 * True for faults that the values of one entry can cause: refused or conflicting values, limits of PostgreSQL, a
 * statement that took too long, our own mistakes. Not for what strikes whoever asks: lost connections, a full pool.
 */
export function mayBeOneEntrysFault(error: unknown): boolean {
  const state = sqlState(error);
  if (state) return state === '57014' || ['22', '23', '54'].includes(state.slice(0, 2));
  return error instanceof InvalidInput || (error instanceof Error && programmingErrors.has(error.name));
}

/**
 * Group commit: entries that arrive while a transaction runs share the next one, and each is answered only when its
 * transaction is durable. A group that fails by what may be one entry's fault runs again entry by entry, so one bad
 * entry fails alone, without those that have waited too long by then; by any other fault, such as a database that is away, it fails at once and as a whole.
 */
export class GroupCommit<Entry, Result> {
  private waiting: Waiting<Entry, Result>[] = [];
  private waitingWeight = 0;
  private running = 0;

  constructor(
    private readonly run: (entries: Entry[]) => Promise<Outcome<Result>[]>,
    /**
     * Weights: of one group at most, of all that wait at most (past it: 503); transactions side by side; and how long
     * one waits for its answer, whatever those before it wait for.
     */
    private readonly limits: { group: number; queue: number; atOnce: number; answerMs: number },
    private readonly mayBeOneEntrysFault: (error: unknown) => boolean,
  ) {}

  /** @throws Unavailable when more waits than can be worked soon, and when there is no answer in time: it may be in or not */
  join(entry: Entry, weight: number): Promise<Result> {
    if (this.waitingWeight + weight > this.limits.queue) {
      return Promise.reject(new Unavailable('too much arrives at the moment, send it again a little later', 1_000));
    }
    return new Promise((resolve, reject) => {
      const one: Waiting<Entry, Result> = { entry, weight, resolve, reject };
      one.timer = setTimeout(() => this.giveUp(one), this.limits.answerMs);
      this.waiting.push(one);
      this.waitingWeight += weight;
      this.next();
    });
  }

  private giveUp(one: Waiting<Entry, Result>): void {
    const place = this.waiting.indexOf(one);
    if (place >= 0) {
      this.waiting.splice(place, 1);
      this.waitingWeight -= one.weight;
    }
    one.isGivenUp = true;
    one.reject(new Unavailable());
  }

  private next(): void {
    if (this.running >= this.limits.atOnce || this.waiting.length === 0) return;
    const group = this.takeGroup();
    this.running += 1;
    void this.runGroup(group).finally(() => {
      this.running -= 1;
      this.next();
    });
  }

  private takeGroup(): Waiting<Entry, Result>[] {
    let weight = 0;
    let count = 0;
    for (const { weight: more } of this.waiting) {
      if (count > 0 && weight + more > this.limits.group) break;
      weight += more;
      count += 1;
    }
    this.waitingWeight -= weight;
    return this.waiting.splice(0, count);
  }

  private async runGroup(group: Waiting<Entry, Result>[]): Promise<void> {
    try {
      const outcomes = await this.run(group.map(({ entry }) => entry));
      for (const [index, one] of group.entries()) settle(outcomes[index]!, one);
    } catch (error) {
      if (group.length > 1 && this.mayBeOneEntrysFault(error)) await this.runSingly(group);
      else for (const { reject } of group) reject(error);
    } finally {
      for (const { timer } of group) clearTimeout(timer);
    }
  }

  private async runSingly(group: Waiting<Entry, Result>[]): Promise<void> {
    for (const [index, one] of group.entries()) {
      if (one.isGivenUp) continue;
      try {
        const [outcome] = await this.run([one.entry]);
        settle(outcome!, one);
      } catch (error) {
        one.reject(error);
        if (this.mayBeOneEntrysFault(error)) continue;
        // The database went away on the way: the rest need not find out one by one.
        for (const later of group.slice(index + 1)) later.reject(error);
        return;
      }
    }
  }
}

function settle<Result>(
  outcome: Outcome<Result>,
  { resolve, reject }: Pick<Waiting<unknown, Result>, 'resolve' | 'reject'>,
): void {
  if (outcome.ok) resolve(outcome.value);
  else reject(outcome.error);
}

import { Unavailable } from '../../errors.ts';

/** What became of one entry of a group. */
export type Outcome<Result> = { ok: true; value: Result } | { ok: false; error: unknown };

interface Waiting<Entry, Result> {
  entry: Entry;
  weight: number;
  resolve(value: Result): void;
  reject(error: unknown): void;
}

/**
 * Group commit: entries that arrive while a transaction runs share the next one, and each is answered only when its
 * transaction is durable. A group that fails as a whole runs again entry by entry, so one bad entry fails alone.
 */
export class GroupCommit<Entry, Result> {
  private waiting: Waiting<Entry, Result>[] = [];
  private waitingWeight = 0;
  private running = 0;

  constructor(
    private readonly run: (entries: Entry[]) => Promise<Outcome<Result>[]>,
    /** Weights: of one group at most, of all that wait at most (past it: 503); and transactions side by side. */
    private readonly limits: { group: number; queue: number; atOnce: number },
  ) {}

  /** @throws Unavailable when more waits than can be worked soon */
  join(entry: Entry, weight: number): Promise<Result> {
    if (this.waitingWeight + weight > this.limits.queue) {
      return Promise.reject(new Unavailable('too much arrives at the moment, send it again a little later', 1_000));
    }
    return new Promise((resolve, reject) => {
      this.waiting.push({ entry, weight, resolve, reject });
      this.waitingWeight += weight;
      this.next();
    });
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
      group.forEach(({ resolve, reject }, index) => {
        const outcome = outcomes[index]!;
        if (outcome.ok) resolve(outcome.value);
        else reject(outcome.error);
      });
    } catch (error) {
      if (group.length === 1) group[0]!.reject(error);
      else for (const one of group) await this.runGroup([one]);
    }
  }
}

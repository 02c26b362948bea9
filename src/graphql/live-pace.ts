import type { PreparedResult } from './live-subscriber.ts';

/** Events that are executed side by side at most, with loaders in common: one read for all of them. Results keep the log's order. */
const sideBySide = 64;
/** Characters of their results that should come together. */
const togetherLength = 512 * 1024;

/** How many events are executed side by side, by the size of the results before: a document may ask for megabytes for each. */
export class Pace {
  #count = 1;

  get count(): number {
    return this.#count;
  }

  note(results: readonly (PreparedResult | undefined)[]): void {
    const length = results.reduce((sum, result) => sum + (result?.took ?? result?.json.length ?? 0), 0);
    const fitting = Math.floor((this.#count * togetherLength) / Math.max(length, 1));
    this.#count = Math.max(1, Math.min(sideBySide, 2 * this.#count, fitting));
  }
}

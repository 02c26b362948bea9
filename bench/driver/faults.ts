/** Collects what was not right: a number, and the first few in words. */
export class Faults {
  count = 0;
  readonly examples: string[] = [];

  add(words: string): void {
    this.count += 1;
    if (this.examples.length < 5) this.examples.push(words.slice(0, 300));
  }

  /** Adds the words unless the condition holds. */
  expect(holds: boolean, words: () => string): void {
    if (!holds) this.add(words());
  }
}

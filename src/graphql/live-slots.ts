/** A slot while it is held. */
export interface Slot {
  /** Gives the slot back while somebody else is waited for, and takes one again before it goes on. */
  aside(wait: () => Promise<void>): Promise<void>;
}

/** At most `count` at once and `share` of them for one owner; the others wait, their owners taking turns. */
export class FairSlots {
  #free: number;
  readonly #share: number;
  readonly #held = new Map<string, number>();
  // In the order of the owners' turns.
  readonly #waiting = new Map<string, (() => void)[]>();

  constructor(count: number, share: number) {
    this.#free = count;
    this.#share = share;
  }

  async run(owner: string, work: (slot: Slot) => Promise<void>): Promise<void> {
    await this.#take(owner, 'last');
    try {
      await work({
        aside: async (wait) => {
          this.#giveBack(owner);
          try {
            await wait();
          } finally {
            // Who has begun goes first: what happens meanwhile is kept for it.
            await this.#take(owner, 'first');
          }
        },
      });
    } finally {
      this.#giveBack(owner);
    }
  }

  #take(owner: string, place: 'first' | 'last'): Promise<void> {
    // Where one is free, nobody waits who may have it.
    if (this.#free > 0 && this.#mayHave(owner)) {
      this.#hold(owner);
      return Promise.resolve();
    }
    return new Promise((resolve) => {
      const queue = this.#waiting.get(owner) ?? [];
      if (place === 'first') queue.unshift(resolve);
      else queue.push(resolve);
      this.#waiting.set(owner, queue);
    });
  }

  #giveBack(owner: string): void {
    this.#free += 1;
    const held = this.#held.get(owner)! - 1;
    if (held > 0) this.#held.set(owner, held);
    else this.#held.delete(owner);
    for (const [next, queue] of this.#waiting) {
      if (!this.#mayHave(next)) continue;
      this.#waiting.delete(next);
      const begin = queue.shift()!;
      if (queue.length > 0) this.#waiting.set(next, queue);
      this.#hold(next);
      begin();
      return;
    }
  }

  #mayHave(owner: string): boolean {
    return (this.#held.get(owner) ?? 0) < this.#share;
  }

  #hold(owner: string): void {
    this.#free -= 1;
    this.#held.set(owner, (this.#held.get(owner) ?? 0) + 1);
  }
}

/** Operations of one socket that are executed, or whose result is on its way, at once. Subscriptions do not count. */
const mostExecuted = 4;
/** Messages that may wait for the end of an earlier operation with the same id. */
const mostWaiting = 200;

interface Running {
  opened: PromiseWithResolvers<void>;
  done: Promise<void>;
}

/**
 * The operations of one socket. graphql-ws knows an operation by its id alone, and loses the first one where an id is
 * used again while that is still being opened or ended: so messages with one id take turns here. And it executes
 * whatever comes at once: so a client that reads nothing would have everything executed and kept.
 */
export class SocketOperations {
  readonly #last = new Map<string, Promise<void>>();
  readonly #running = new Map<string, Running>();
  readonly #executing = new Set<string>();
  readonly #queue: (() => void)[] = [];
  #free = mostExecuted;
  #waiting = 0;

  /**
   * Hands a message on when it is its turn.
   *
   * @param handle never rejects; of a `subscribe` it resolves when the operation is over
   * @returns false when too many wait already
   */
  take({ type, id }: { type?: unknown; id?: unknown }, handle: () => Promise<void>): boolean {
    if (typeof id !== 'string' || (type !== 'subscribe' && type !== 'complete')) {
      void handle();
      return true;
    }
    const before = this.#last.get(id);
    if (before && this.#waiting >= mostWaiting) return false;
    this.#waiting += 1;
    const turn = (before ?? Promise.resolve()).then(() => {
      this.#waiting -= 1;
      return type === 'subscribe' ? this.#begin(id, handle) : this.#end(id, handle);
    });
    this.#last.set(id, turn);
    void turn.then(() => {
      if (this.#last.get(id) === turn) this.#last.delete(id);
    });
    return true;
  }

  /** To be told when `onSubscribe` is through, whatever it came to. */
  opened(id: string): void {
    // What graphql-ws does with it follows within this turn of the event loop.
    setImmediate(() => this.#running.get(id)?.opened.resolve());
  }

  /** Waits until the operation may be executed; its place is free again when it is over. */
  async mayExecute(id: string): Promise<void> {
    if (this.#free > 0) this.#free -= 1;
    else await new Promise<void>((resolve) => this.#queue.push(resolve));
    this.#executing.add(id);
  }

  async #begin(id: string, handle: () => Promise<void>): Promise<void> {
    // Nobody ended the one before: graphql-ws closes the socket for that.
    if (this.#running.has(id)) return handle();
    const opened = Promise.withResolvers<void>();
    const done = handle().then(() => {
      this.#running.delete(id);
      this.#leave(id);
    });
    this.#running.set(id, { opened, done });
    await Promise.race([opened.promise, done]);
  }

  async #end(id: string, handle: () => Promise<void>): Promise<void> {
    await handle();
    await this.#running.get(id)?.done;
  }

  #leave(id: string): void {
    if (!this.#executing.delete(id)) return;
    const next = this.#queue.shift();
    if (next) next();
    else this.#free += 1;
  }
}

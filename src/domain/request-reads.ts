import { TooLarge } from './errors.ts';

/** Statements of one request that run at once: the others leave the pool to other requests. */
const mostAtOnce = 3;
/** What a request may read from the database. A full page of the largest rows is 20 MB. */
const mostBytes = 24 * 1024 * 1024;

/** The reads of one request: a short document can ask for many large pages side by side. */
export class RequestReads {
  #running = 0;
  #bytes = 0;
  #queue: (() => void)[] | undefined;

  /**
   * @param read told what to call with the bytes that it read
   * @throws TooLarge what was read before is more than one request may have
   */
  async run<T>(read: (count: (bytes: number) => void) => Promise<T>): Promise<T> {
    if (this.#running >= mostAtOnce) {
      this.#queue ??= [];
      await new Promise<void>((resolve) => this.#queue!.push(resolve));
    } else this.#running += 1;
    try {
      if (this.#bytes > mostBytes) {
        throw new TooLarge(
          `this asks for more than ${mostBytes} bytes of stored data: take smaller pages or less fields`,
        );
      }
      return await read((bytes) => {
        this.#bytes += bytes;
      });
    } finally {
      const next = this.#queue?.shift();
      if (next) next();
      else this.#running -= 1;
    }
  }
}

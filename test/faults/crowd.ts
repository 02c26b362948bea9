import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { afterAll } from '@jest/globals';
import { until } from '../support/until.ts';

const program = fileURLToPath(new URL('./subscriber-driver.js', import.meta.url));
const running = new Set<ChildProcess>();
process.once('exit', () => {
  for (const child of running) child.kill('SIGKILL');
});
afterAll(() => {
  for (const child of running) child.kill('SIGKILL');
});

interface Word {
  joined: number;
  closed: Record<string, number>;
  refused: number;
  latencies: number[];
}

/** Many subscribers, in processes of their own. */
export class Crowd {
  /** From the text of a message, which is a wall clock time, to its arrival, ms. */
  readonly latencies: number[] = [];
  readonly #words = new Map<ChildProcess, Word>();

  constructor(form: { wsUrl: string; token: string; query: string; variables: object[]; processes: number }) {
    const { variables, processes, ...rest } = form;
    const part = Math.ceil(variables.length / processes);
    for (let from = 0; from < variables.length; from += part) {
      const child = fork(program, { execArgv: [] });
      child.send({ ...rest, variables: variables.slice(from, from + part) });
      running.add(child);
      child.once('exit', () => running.delete(child));
      child.on('message', (word: Word) => {
        this.#words.set(child, word);
        this.latencies.push(...word.latencies);
      });
    }
  }

  get joined(): number {
    return this.#sum(({ joined }) => joined);
  }

  /** Sockets that were closed, and frames that were no event. */
  get faults(): number {
    return this.#sum(({ closed, refused }) => refused + Object.values(closed).reduce((sum, count) => sum + count, 0));
  }

  async hasJoined(count: number, timeoutMs: number): Promise<void> {
    await until(async () => this.joined === count, timeoutMs);
  }

  async leave(): Promise<void> {
    await Promise.all(
      [...this.#words.keys()].map(async (child) => {
        if (!running.has(child)) return;
        const ended = once(child, 'exit');
        child.kill('SIGKILL');
        await ended;
      }),
    );
  }

  #sum(of: (word: Word) => number): number {
    return [...this.#words.values()].reduce((sum, word) => sum + of(word), 0);
  }
}

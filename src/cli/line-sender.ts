import type { Line } from './line-reader.ts';
import type { Position } from './position.ts';
import { Stopped } from './retry.ts';

/** A line made ready: `keys` name everything whose order must be kept, such as its conversations. */
export interface Prepared {
  keys: string[];
  /** Resolves when the gateway has acknowledged the line. */
  send(): Promise<void>;
}

export interface Sending {
  lines: (signal: AbortSignal) => AsyncIterable<Line>;
  position: Position;
  /** How many calls are under way at once. */
  concurrency: number;
  /** Undefined for a line with nothing in it. @throws CliFailure for a line that is wrong */
  prepare(line: Line): Prepared | undefined;
  onAcknowledged?: (line: Line) => void;
  onSkipped?: (line: Line) => void;
  /** Set by Ctrl-C: no new line is sent, those under way are awaited. */
  signal: AbortSignal;
}

/** How far reading may run ahead of the oldest line that is not acknowledged; bounds what the state file lists. */
const maxAhead = 512;

/**
 * Sends the lines that the position does not have, several at once. A line waits for every earlier line that shares a
 * key with it, so that the messages of one conversation arrive in the order of the file. The first fault ends it: what
 * is under way is still awaited and acknowledged, nothing new begins.
 *
 * @throws the first fault
 */
export async function sendLines(sending: Sending): Promise<void> {
  const { position, concurrency, prepare } = sending;
  const halt = new AbortController();
  const stop = () => halt.abort();
  if (sending.signal.aborted) stop();
  sending.signal.addEventListener('abort', stop, { once: true });

  const slots = new Slots(concurrency);
  const lastByKey = new Map<string, Promise<void>>();
  const underWay = new Set<Promise<void>>();
  let fault: unknown;
  const failWith = (error: unknown) => {
    if (!(error instanceof Stopped)) fault ??= error;
    stop();
  };

  const sendInTurn = async (line: Line, prepared: Prepared, earlier: (Promise<void> | undefined)[]) => {
    await Promise.all(earlier);
    await slots.take();
    try {
      if (halt.signal.aborted) return;
      await prepared.send();
      position.acknowledge(line.number);
      sending.onAcknowledged?.(line);
    } catch (error) {
      failWith(error);
    } finally {
      slots.give();
    }
  };

  const begin = (line: Line, prepared: Prepared) => {
    const task = sendInTurn(
      line,
      prepared,
      prepared.keys.map((key) => lastByKey.get(key)),
    ).finally(() => {
      underWay.delete(task);
      for (const key of prepared.keys) if (lastByKey.get(key) === task) lastByKey.delete(key);
    });
    underWay.add(task);
    for (const key of prepared.keys) lastByKey.set(key, task);
  };

  try {
    for await (const line of sending.lines(halt.signal)) {
      if (halt.signal.aborted) break;
      if (position.has(line.number)) {
        sending.onSkipped?.(line);
        continue;
      }
      const prepared = prepare(line);
      if (!prepared) {
        position.acknowledge(line.number);
        continue;
      }
      begin(line, prepared);
      while (
        underWay.size >= concurrency * 8 ||
        (underWay.size > 0 && line.number - position.acknowledged >= maxAhead)
      ) {
        await Promise.race(underWay);
      }
    }
  } catch (error) {
    // Reading is cut off when the sending stops: then that is no fault of its own.
    if (!halt.signal.aborted) failWith(error);
  } finally {
    await Promise.all(underWay);
    sending.signal.removeEventListener('abort', stop);
  }
  if (fault !== undefined) throw fault;
}

class Slots {
  #free: number;
  readonly #waiting: (() => void)[] = [];

  constructor(count: number) {
    this.#free = count;
  }

  /** First come, first served. */
  async take(): Promise<void> {
    if (this.#free > 0) {
      this.#free -= 1;
      return;
    }
    await new Promise<void>((resolve) => this.#waiting.push(resolve));
  }

  give(): void {
    const next = this.#waiting.shift();
    if (next) next();
    else this.#free += 1;
  }
}

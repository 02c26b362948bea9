import type { Writable } from 'node:stream';
import { CliFailure } from './failure.ts';

const sameSignalMs = 1_000;

/** True for a stream that a person looks at, where lines may be drawn over. */
export function isTerminal(out: Writable): boolean {
  return (out as Partial<NodeJS.WriteStream>).isTTY === true;
}

export function printLine(out: Writable, line: string): void {
  out.write(`${line}\n`);
}

/**
 * Text of others, safe to print on one line: control characters would let a message move the cursor, change colours
 * or the window's title. At most `length` characters.
 */
export function printable(text: string, length = 120): string {
  const flat = text.replace(/[\s\p{Cc}\p{Cf}]+/gu, ' ').trim();
  const characters = [...flat];
  return characters.length > length ? `${characters.slice(0, length - 1).join('')}…` : flat;
}

/** `12:31:05` of the terminal's own time zone. */
export function clockTime(at: Date): string {
  return at.toLocaleTimeString('en-GB');
}

/** A word as a shell takes it: quoted only when it must be. */
export function shellWord(word: string): string {
  return /^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", `'\\''`)}'`;
}

/** The command line a reader can paste. */
export function parleyCommand(words: string[]): string {
  return `npm run parley -- ${words.map(shellWord).join(' ')}`;
}

/**
 * Asks for a secret without showing what is typed.
 *
 * @throws CliFailure (2) when there is no terminal to ask on; (1) when the person gives up with Ctrl-C
 */
export async function askSecret(question: string, instead: string): Promise<string> {
  const { stdin, stderr } = process;
  if (!stdin.isTTY) throw new CliFailure(`There is no terminal to ask on: ${instead}.`, 2);
  stderr.write(question);
  stdin.setRawMode(true);
  stdin.setEncoding('utf8');
  try {
    return await readUntilEnter(stdin);
  } finally {
    stdin.setRawMode(false);
    stdin.pause();
    stderr.write('\n');
  }
}

function readUntilEnter(stdin: NodeJS.ReadStream): Promise<string> {
  return new Promise((resolve, reject) => {
    const typed: string[] = [];
    const end = (settle: () => void) => {
      stdin.off('data', onData);
      settle();
    };
    const onData = (data: string | Buffer) => {
      for (const key of String(data)) {
        if (key === '\r' || key === '\n' || key === '\u0004') return end(() => resolve(typed.join('')));
        if (key === '\u0003') return end(() => reject(new CliFailure('Given up.')));
        if (key === '\u007f' || key === '\b') typed.pop();
        else if (key >= ' ') typed.push(key);
      }
    };
    stdin.on('data', onData);
    stdin.resume();
  });
}

/**
 * A signal that the first Ctrl-C (or SIGTERM) sets, so that a command can end in order; the second one ends at once.
 * `release` must be called when the command is done.
 */
export function stopOnSignals(): { signal: AbortSignal; release: () => void } {
  const controller = new AbortController();
  let firstAt = 0;
  const onSignal = () => {
    // npm hands on the Ctrl-C that the terminal has sent to the whole group already: that is the same one.
    if (controller.signal.aborted && performance.now() - firstAt > sameSignalMs) process.exit(130);
    firstAt ||= performance.now();
    controller.abort();
  };
  process.on('SIGINT', onSignal);
  process.on('SIGTERM', onSignal);
  return {
    signal: controller.signal,
    release: () => {
      process.off('SIGINT', onSignal);
      process.off('SIGTERM', onSignal);
    },
  };
}

/** Resolves after the time, or at once when the signal is set. Never rejects. */
export function pause(ms: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal?.aborted) return resolve();
    const done = () => {
      clearTimeout(timer);
      signal?.removeEventListener('abort', done);
      resolve();
    };
    const timer = setTimeout(done, ms);
    signal?.addEventListener('abort', done, { once: true });
  });
}

/** Resolves when the signal is set. */
export function aborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) return resolve();
    signal.addEventListener('abort', () => resolve(), { once: true });
  });
}

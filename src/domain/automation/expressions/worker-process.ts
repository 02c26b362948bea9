import { type ChildProcess, fork } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import type { Outcome, Reply, Request } from './script.ts';

/** From handing a script over to a process that is ready until it is killed. */
const maxRunMs = 500;
/** A process that got less of the processor in that time had no fair chance: it gets as long again, up to `longestRunMs`. */
const fairShareMs = 250;
const longestRunMs = 5_000;
/** A start takes some 0.2 s; a machine under load several times that. */
const maxStartMs = 15_000;

const program = fileURLToPath(
  new URL(`./expression-worker${import.meta.url.endsWith('.ts') ? '.ts' : '.js'}`, import.meta.url),
);

/** How a process ended its work: by itself after all scripts, or in the middle of one. */
export type RunEnd = 'done' | 'too slow' | 'out of memory' | 'killed by others';

/**
 * One process that runs scripts, one request at a time.
 *
 * A process, because a thread is no fence: a few texts of some hundred megabytes make V8 abort the whole process, beside
 * every limit of the thread, and a thread ends only when the function that it is in comes back. It has nothing of ours:
 * no environment, no rights to write files or to start others, no code made of texts, 64 MB.
 */
export class WorkerProcess {
  /** Resolves once it is ready, with false when it ended instead. */
  readonly started: Promise<boolean>;
  readonly ended: Promise<void>;
  #isReady = false;
  #hasEnded = false;
  #settle: ((end: RunEnd) => void) | undefined;
  #onReply: ((reply: Reply) => void) | undefined;
  #timer: NodeJS.Timeout | undefined;
  readonly #child: ChildProcess;

  constructor() {
    this.#child = fork(program, {
      stdio: ['ignore', 'ignore', 'ignore', 'ipc'],
      env: { TZ: 'UTC' },
      execArgv: [
        '--max-old-space-size=64',
        '--max-semi-space-size=2',
        '--disable-proto=delete',
        '--disallow-code-generation-from-strings',
        '--permission',
        '--allow-fs-read=*',
        '--allow-worker',
        '--no-warnings',
      ],
    });
    const child = this.#child;
    this.started = new Promise((resolve) => {
      const tooLate = setTimeout(() => void this.kill(), maxStartMs);
      child.on('message', (message: Reply | 'ready') => {
        if (message !== 'ready') return this.#onReply?.(message);
        clearTimeout(tooLate);
        this.#isReady = true;
        this.#hold(false);
        resolve(true);
      });
      child.once('close', () => {
        clearTimeout(tooLate);
        resolve(false);
      });
    });
    this.ended = new Promise((resolve) => {
      child.once('close', (_code, signal) => {
        this.#end(signal === 'SIGKILL' || signal === 'SIGTERM' ? 'killed by others' : 'out of memory');
        resolve();
      });
      // It could not be started at all.
      child.once('error', () => {
        if (child.pid === undefined) child.emit('close', 1, null);
      });
    });
  }

  get isIdle(): boolean {
    return this.#isReady && !this.#hasEnded && this.#settle === undefined;
  }

  get isBusy(): boolean {
    return this.#settle !== undefined;
  }

  /**
   * Hands a request to the idle process. A script that takes longer than 500 ms ends it.
   *
   * @param onOutcome called for each script in turn, as far as it comes
   */
  run(request: Request, onOutcome: (outcome: Outcome) => void): Promise<RunEnd> {
    let missing = request.scripts.length;
    return new Promise((resolve) => {
      this.#settle = resolve;
      this.#hold(true);
      this.#onReply = ({ id, outcome }) => {
        if (id !== request.id) return;
        missing -= 1;
        onOutcome(outcome);
        if (missing > 0) this.#watch();
        else this.#end('done');
      };
      this.#watch();
      this.#child.send(request, () => undefined);
    });
  }

  /** Resolves when it is gone. */
  kill(): Promise<void> {
    this.#end('killed by others');
    this.#child.ref();
    this.#child.kill('SIGKILL');
    return this.ended;
  }

  // A busy machine must not fail what did nothing wrong: a script counts as slow when it used the time that it took.
  #watch(waitedMs = 0, usedBefore = usedMs(this.#child)): void {
    clearTimeout(this.#timer);
    const timer = setTimeout(() => {
      // Where this thread was held up itself, the answer may be here, unread.
      setImmediate(() => {
        if (this.#timer !== timer) return;
        const waited = waitedMs + maxRunMs;
        if (usedMs(this.#child) - usedBefore < fairShareMs && waited < longestRunMs) {
          this.#watch(waited, usedBefore);
          return;
        }
        this.#end('too slow');
        this.#child.kill('SIGKILL');
      });
    }, maxRunMs);
    this.#timer = timer;
  }

  #end(end: RunEnd): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    if (end !== 'done') this.#hasEnded = true;
    this.#onReply = undefined;
    const settle = this.#settle;
    this.#settle = undefined;
    this.#hold(false);
    settle?.(end);
  }

  // While it works, somebody waits for it; otherwise it must not keep this process.
  #hold(isNeeded: boolean): void {
    const change = isNeeded ? 'ref' : 'unref';
    this.#child[change]();
    this.#child.channel?.[change]();
  }
}

// Linux tells it; elsewhere the wall's clock alone counts.
function usedMs({ pid }: ChildProcess): number {
  try {
    const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1]!.split(' ');
    return (Number(fields[11]) + Number(fields[12])) * 10;
  } catch {
    return Number.POSITIVE_INFINITY;
  }
}

import { type ChildProcess, fork } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { Unavailable } from '../../errors.ts';
import type { Answer, Asked, Outcome, ScriptFault } from './script.ts';

interface Job {
  asked: Asked;
  outcomes: Outcome[];
  resolve(outcomes: Outcome[]): void;
  reject(error: Unavailable): void;
}

interface Slot {
  child: ChildProcess;
  isReady: boolean;
  job?: Job;
  timer?: NodeJS.Timeout;
  /** Processor time that it had used when its job began, ms. */
  usedBefore: number;
  waitedMs: number;
}

/** Two, so that an ordinary script passes by one that has to be ended. */
const mostProcesses = 2;
/** From handing a call to a process that is ready. */
const killAfterMs = 500;
/** A process that got less than this of the processor had no chance: it gets as long again, for a while. */
const fairShareMs = 250;
const longestMs = 5_000;
const mostWaiting = 1_000;
const idleMs = 300_000;
/** No more memory than a script needs; no files but to read its own code, no processes, no threads. */
const flags = ['--max-old-space-size=64', '--max-semi-space-size=4', '--permission', '--allow-fs-read=*'];
/** Compiled or as it is: the file stands beside this one, with the same ending. */
const file = fileURLToPath(
  new URL(`./script-process.${import.meta.url.endsWith('.ts') ? 'ts' : 'js'}`, import.meta.url),
);

/**
 * The processes that run what users wrote, one call at a time in each. They begin with the first call, and end when nothing was
 * asked for a while; a call that takes too long ends its process, and another one takes its place.
 *
 * Processes and not threads: a thread that runs out of memory can take the whole process with it, whatever its limits say.
 */
export class ScriptPool {
  readonly #slots = new Set<Slot>();
  readonly #waiting: Job[] = [];
  #idle: NodeJS.Timeout | undefined;

  /**
   * An outcome for each script, in order.
   *
   * @throws Unavailable too much waits, or the processes were ended from outside: not the script's fault, try again
   */
  run(asked: Asked): Promise<Outcome[]> {
    if (asked.scripts.length === 0) return Promise.resolve([]);
    return new Promise((resolve, reject) => {
      if (this.#waiting.length >= mostWaiting) {
        reject(new Unavailable('too many expressions wait to be run, try again'));
        return;
      }
      this.#waiting.push({ asked, outcomes: [], resolve, reject });
      this.#hand();
    });
  }

  stop(): void {
    clearTimeout(this.#idle);
    const slots = [...this.#slots];
    this.#slots.clear();
    for (const { child } of slots) child.kill('SIGKILL');
    const jobs = [...this.#waiting.splice(0), ...slots.flatMap(({ job }) => job ?? [])];
    for (const { reject } of jobs) reject(new Unavailable('the service stops'));
  }

  #hand(): void {
    clearTimeout(this.#idle);
    while (this.#slots.size < mostProcesses) this.#open();
    for (const slot of this.#slots) {
      if (!slot.isReady || slot.job) continue;
      const job = this.#waiting.shift();
      keepsAlive(slot, job !== undefined);
      if (!job) continue;
      slot.job = job;
      slot.usedBefore = usedMs(slot.child);
      slot.waitedMs = 0;
      this.#watch(slot);
      try {
        slot.child.send(job.asked);
      } catch {
        // What nests by thousands cannot even be written out.
        this.#answer(
          slot,
          job,
          job.asked.scripts.map(() => ({ ok: false, fault: { message: 'it nests too deeply' } })),
        );
      }
    }
    this.#idle = setTimeout(() => this.stop(), idleMs).unref();
  }

  // On a busy machine an innocent script may not have had its turn yet: it must not fail for that.
  #watch(slot: Slot): void {
    slot.timer = setTimeout(() => {
      slot.waitedMs += killAfterMs;
      const isStarved = usedMs(slot.child) - slot.usedBefore < fairShareMs && slot.waitedMs < longestMs;
      if (isStarved) this.#watch(slot);
      else this.#end(slot, { message: `it took longer than ${killAfterMs} ms` });
    }, killAfterMs);
  }

  #open(): void {
    const child = fork(file, { execArgv: flags, env: {}, stdio: 'ignore', serialization: 'json' });
    const slot: Slot = { child, isReady: false, usedBefore: 0, waitedMs: 0 };
    this.#slots.add(slot);
    child.on('message', (message) => this.#hear(slot, message as 'ready' | Answer));
    child.on('error', () => this.#end(slot));
    // What V8 does when its memory is used up. Other signals are from outside.
    child.on('exit', (_, signal) =>
      this.#end(slot, signal === 'SIGABRT' ? { message: 'it needed too much memory' } : undefined),
    );
  }

  #hear(slot: Slot, message: 'ready' | Answer): void {
    if (message === 'ready') {
      slot.isReady = true;
      this.#hand();
      return;
    }
    const { job } = slot;
    if (!job) return;
    job.outcomes[message.index] = message.outcome;
    if (message.index < job.asked.scripts.length - 1) return;
    this.#answer(slot, job, job.outcomes);
    this.#hand();
  }

  #answer(slot: Slot, job: Job, outcomes: Outcome[]): void {
    clearTimeout(slot.timer);
    slot.job = undefined;
    job.resolve(outcomes);
  }

  /** @param fault of the script; without one it can be tried again */
  #end(slot: Slot, fault?: ScriptFault): void {
    if (!this.#slots.delete(slot)) return;
    clearTimeout(slot.timer);
    slot.child.kill('SIGKILL');
    const { job } = slot;
    if (job && fault) job.resolve(job.asked.scripts.map((_, index) => job.outcomes[index] ?? { ok: false, fault }));
    else job?.reject(unavailable());
    // One that never came to be ready would be opened again and again.
    if (slot.isReady || this.#slots.size > 0) this.#hand();
    else for (const { reject } of this.#waiting.splice(0)) reject(unavailable());
  }
}

const unavailable = () => new Unavailable('expressions cannot be run at the moment, try again');

// Linux tells it; elsewhere time alone counts.
function usedMs({ pid }: ChildProcess): number {
  try {
    const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1]!.split(' ');
    return (Number(fields[11]) + Number(fields[12])) * 10;
  } catch {
    return Number.POSITIVE_INFINITY;
  }
}

// Only one that works, or has just begun to, holds up the end of this process.
function keepsAlive({ child }: Slot, isAtWork: boolean): void {
  if (isAtWork) {
    child.ref();
    child.channel?.ref();
  } else {
    child.unref();
    child.channel?.unref();
  }
}

import { Unavailable } from '../../errors.ts';
import type { Outcome, Script, Task } from './script.ts';
import { type RunEnd, WorkerProcess } from './worker-process.ts';

/** Processes that are there once there was a request; each has one script at a time. */
const poolSize = 2;
/** With those that were started because others were at something slow; they stay until all are ended. */
const mostProcesses = 4;
/** Ordinary scripts take a hundredth of it: who runs longer will probably be killed, and then another should be ready. */
const slowMs = 100;
/** Past it a request is refused: what waits longest would wait for minutes. */
const maxWaiting = 1_000;
/** Of all scripts of a request together, counted while they run. */
const maxRequestMs = 2_000;
/** Without work for so long, the processes are ended. */
const idleMs = 300_000;
/** So many processes in a row that end before they are ready, and the requests that wait are given up. */
const maxFailedStarts = 3;

const faults: Record<Exclude<RunEnd, 'done'>, string> = {
  'too slow': 'it was ended after 500 ms: it takes too long',
  'out of memory': 'it was ended: it takes too much memory',
  'killed by others': 'it was ended twice before it was done: the machine may be short of memory',
};

interface Job {
  task: Task;
  scripts: Script[];
  bindings: string;
  outcomes: Outcome[];
  spentMs: number;
  /** The script that was under way when its process was ended by others. */
  retried?: number;
  resolve(outcomes: Outcome[]): void;
  reject(error: Unavailable): void;
}

/**
 * Runs requests in two processes, first come first served. They are started by the first request and ended after five
 * minutes without one. One that had to be killed is replaced at once, and the other goes on meanwhile; while one is at
 * something slow, another is started to take its place.
 */
export class WorkerPool {
  readonly #workers = new Set<WorkerProcess>();
  /** Those of them whose request takes longer than ordinary ones do. */
  readonly #slow = new Set<WorkerProcess>();
  readonly #waiting: Job[] = [];
  readonly #running = new Set<Job>();
  #requests = 0;
  #failedStarts = 0;
  #idleTimer: NodeJS.Timeout | undefined;

  /**
   * An outcome for each script, in order.
   *
   * @throws Unavailable too many wait, no process can be started, or the pool is being stopped
   */
  run(task: Task, scripts: Script[], bindings: string): Promise<Outcome[]> {
    if (scripts.length === 0) return Promise.resolve([]);
    if (this.#waiting.length >= maxWaiting) {
      return Promise.reject(new Unavailable('too many expressions and templates wait to be run, try again'));
    }
    return new Promise((resolve, reject) => {
      this.#waiting.push({ task, scripts, bindings, outcomes: [], spentMs: 0, resolve, reject });
      this.#next();
    });
  }

  /** Starts the processes where that was not done, and waits until each is ready or has ended. */
  async ready(): Promise<void> {
    while (this.#workers.size < poolSize) this.#start();
    await Promise.all([...this.#workers].map(({ started }) => started));
  }

  /** Kills the processes. A later request starts new ones. */
  async stop(): Promise<void> {
    clearTimeout(this.#idleTimer);
    this.#giveUp([...this.#waiting.splice(0), ...this.#running], 'the server is being stopped');
    this.#running.clear();
    await this.#endAll();
  }

  #next(): void {
    clearTimeout(this.#idleTimer);
    if (this.#waiting.length > 0) while (this.#workers.size < poolSize) this.#start();
    for (const worker of this.#workers) {
      if (!worker.isIdle) continue;
      const job = this.#waiting.shift();
      if (!job) break;
      void this.#give(worker, job);
    }
    if (this.#waiting.length === 0) this.#idleTimer = setTimeout(() => void this.#endIdle(), idleMs).unref();
  }

  async #give(worker: WorkerProcess, job: Job): Promise<void> {
    const { task, bindings, outcomes } = job;
    const scripts = job.scripts.slice(outcomes.length);
    const begun = performance.now();
    const slow = setTimeout(() => this.#expectKill(worker), slowMs).unref();
    this.#requests += 1;
    this.#running.add(job);
    const end = await worker.run({ id: this.#requests, task, scripts, bindings }, (outcome) => outcomes.push(outcome));
    clearTimeout(slow);
    this.#slow.delete(worker);
    // Given up meanwhile, and the process with it.
    if (!this.#running.delete(job)) return;
    job.spentMs += performance.now() - begun;
    if (end !== 'done') {
      this.#replace(worker);
      this.#noteEnd(job, end);
    }
    if (outcomes.length < job.scripts.length) this.#waiting.unshift(job);
    else job.resolve(outcomes);
    this.#next();
  }

  #noteEnd(job: Job, end: Exclude<RunEnd, 'done'>): void {
    // It need not be the script's own doing, and scripts have no effects: once more.
    if (end === 'killed by others' && job.retried !== job.outcomes.length) {
      job.retried = job.outcomes.length;
      return;
    }
    job.outcomes.push({ ok: false, fault: { message: faults[end] } });
    if (job.spentMs < maxRequestMs) return;
    while (job.outcomes.length < job.scripts.length) {
      const message = 'it was not run: those before it took all the time there is for them together';
      job.outcomes.push({ ok: false, fault: { message } });
    }
  }

  // At the time of the kill the next one is then ready, and two are left for everybody else meanwhile.
  #expectKill(worker: WorkerProcess): void {
    this.#slow.add(worker);
    const sound = [...this.#workers].filter((one) => !this.#slow.has(one));
    if (sound.length < poolSize && this.#workers.size < mostProcesses) this.#start();
  }

  #start(): void {
    const worker = new WorkerProcess();
    this.#workers.add(worker);
    void worker.started.then((isReady) => {
      // One that was ended on purpose is not among them any more.
      const isOurs = isReady || this.#workers.delete(worker);
      if (isReady) this.#failedStarts = 0;
      else if (isOurs) this.#noteFailedStart();
      this.#next();
    });
    void worker.ended.then(() => this.#workers.delete(worker));
  }

  // Started even when nobody waits: the next request should find both.
  #replace(worker: WorkerProcess): void {
    this.#workers.delete(worker);
    if (this.#workers.size < poolSize) this.#start();
  }

  #noteFailedStart(): void {
    this.#failedStarts += 1;
    if (this.#failedStarts < maxFailedStarts) return;
    this.#failedStarts = 0;
    this.#giveUp(this.#waiting.splice(0), 'the process that runs expressions and templates cannot be started');
  }

  #giveUp(jobs: Job[], reason: string): void {
    for (const job of jobs) job.reject(new Unavailable(reason));
  }

  async #endIdle(): Promise<void> {
    if ([...this.#workers].every(({ isIdle }) => isIdle)) await this.#endAll();
    else this.#next();
  }

  async #endAll(): Promise<void> {
    const workers = [...this.#workers];
    this.#workers.clear();
    await Promise.all(workers.map((worker) => worker.kill()));
  }
}

import { isMainThread, workerData } from 'node:worker_threads';

/** A script that runs longer has lost the process that would have ended it: far beyond what that one allows. */
export const maxOrphanMs = 5_000;
/** One cell: the ms that are left to the script that runs, 0 while there is none. */
export const clockCells = 1;

// A script can hold its thread for good, and then nothing else in the thread is heard, not even that the parent is gone.
if (!isMainThread) {
  const clock = workerData as Int32Array;
  for (;;) {
    Atomics.wait(clock, 0, 0);
    const limitMs = Atomics.load(clock, 0);
    if (limitMs > 0 && Atomics.wait(clock, 0, limitMs, limitMs) === 'timed-out') process.kill(process.pid, 'SIGKILL');
  }
}

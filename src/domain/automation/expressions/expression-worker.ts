import { Worker } from 'node:worker_threads';
import { faultOf, type Reply, type Request } from './script.ts';
import { runScript } from './script-runner.ts';
import { clockCells, maxOrphanMs } from './worker-watchdog.ts';

// The program of a process that runs scripts, see worker-process.ts. It answers one request at a time.

const clock = new Int32Array(new SharedArrayBuffer(clockCells * Int32Array.BYTES_PER_ELEMENT));
new Worker(new URL(`./worker-watchdog${import.meta.url.endsWith('.ts') ? '.ts' : '.js'}`, import.meta.url), {
  workerData: clock,
  execArgv: [],
  resourceLimits: { maxOldGenerationSizeMb: 8, maxYoungGenerationSizeMb: 1, stackSizeMb: 1 },
});

process.on('disconnect', () => process.exit());
process.on('message', async ({ id, task, scripts, bindings }: Request) => {
  for (const script of scripts) {
    const outcome = await underWatch(() => runScript(task, script, bindings));
    if (!outcome.ok) outcome.fault = faultOf(outcome.fault);
    const reply: Reply = { id, outcome };
    // Sent before the next one begins: that one may never end.
    await new Promise<void>((resolve) => process.send?.(reply, () => resolve()));
  }
});
process.send?.('ready');

async function underWatch<T>(work: () => Promise<T>): Promise<T> {
  Atomics.store(clock, 0, maxOrphanMs);
  Atomics.notify(clock, 0);
  try {
    return await work();
  } finally {
    Atomics.store(clock, 0, 0);
    Atomics.notify(clock, 0);
  }
}

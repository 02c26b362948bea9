import { setTimeout as sleep } from 'node:timers/promises';
import { listsDuring, recovery, type Seen } from './database-fault-run.ts';
import { type LoadRunForm, type LoadRunResult, runUnderLoad } from './load-run.ts';
import { OwnPostgres } from './own-postgres.ts';

export interface PostmasterForm extends Pick<LoadRunForm, 'load'> {
  kills: number;
  /** Until it is started again. */
  downMs: number;
  /** Acknowledged batches before each kill, and after the last. */
  acks: number;
}

/** F2: `kill -9` of the postmaster under load, and a new start, again and again. */
export async function killPostmaster(form: PostmasterForm): Promise<LoadRunResult & { seen: Omit<Seen, 'kind'>[] }> {
  const postgres = await OwnPostgres.start();
  const seen: Omit<Seen, 'kind'>[] = [];
  const run = { name: `F2 ${form.kills} kills of the postmaster`, databaseUrl: postgres.url, load: form.load };
  const result = await runUnderLoad(run, async (running) => {
    for (let kill = 0; kill < form.kills; kill += 1) {
      await running.acked(form.acks);
      const lists = await listsDuring(running, async () => {
        postgres.kill();
        await sleep(form.downMs);
      });
      // Its start reads the log of the one before: what is measured begins when it takes connections.
      await postgres.start();
      seen.push({ lists, ...(await recovery(running, postgres.url)) });
    }
    await running.acked(form.acks);
    const most = (of: (one: Omit<Seen, 'kind'>) => number) => Math.max(...seen.map(of)).toFixed(0);
    const list = most(({ lists }) => Math.max(...lists.map(({ ms }) => ms)));
    return `list<=${list}ms ack<=${most((one) => one.ackMs)}ms ready<=${most((one) => one.readyMs)}ms listening<=${most((one) => one.listeningMs)}ms`;
  });
  await postgres.stop();
  return { ...result, seen };
}

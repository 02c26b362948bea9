import { execFileSync } from 'node:child_process';
import { closeSync, mkdtempSync, openSync, rmSync, writeSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, expect, it, jest } from '@jest/globals';
import { recovery, type Seen } from './database-fault-run.ts';
import { endSubscribers } from './inbox-subscriber.ts';
import { expectNothingLost, fullLoad, runUnderLoad } from './load-run.ts';
import { OwnPostgres } from './own-postgres.ts';

jest.setTimeout(180_000);

const isRoot = process.getuid?.() === 0 && process.platform === 'linux';
if (!isRoot) process.stdout.write('F12 is left out: only root may mount the small file systems that it fills\n');

const disks: string[] = [];
let postgres: OwnPostgres | undefined;

/** A file system of its own in memory. */
function mountDisk(size: string): string {
  const folder = mkdtempSync(join(tmpdir(), 'parley-disk-'));
  execFileSync('mount', ['-t', 'tmpfs', '-o', `size=${size},mode=755`, 'tmpfs', folder]);
  disks.push(folder);
  return folder;
}

/** Takes all the room that is left. @returns gives it back */
function fill(folder: string): () => void {
  const file = join(folder, 'filler');
  const open = openSync(file, 'w');
  for (const size of [1_048_576, 4_096]) {
    try {
      for (;;) if (writeSync(open, Buffer.alloc(size)) < size) break;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ENOSPC') throw error;
    }
  }
  closeSync(open);
  return () => rmSync(file);
}

let disk: string;
let logs: string;
beforeAll(() => {
  if (isRoot) [disk, logs] = [mountDisk('300m'), mountDisk('1m')] as [string, string];
});
afterAll(async () => {
  endSubscribers();
  await postgres?.stop();
  for (const folder of disks) {
    execFileSync('umount', ['--lazy', folder]);
    rmSync(folder, { recursive: true });
  }
});

(isRoot ? it : it.skip)('F12 in full: disks of the database and of the log that are full lose nothing', async () => {
  // Small steps: its log of changes has to fit beside its data.
  const server = await OwnPostgres.start(disk, { max_wal_size: '64MB', min_wal_size: '32MB' });
  postgres = server;
  let seen: Omit<Seen, 'kind' | 'lists'> | undefined;
  let refusedWhileFull = 0;
  const run = {
    name: 'F12 disk full',
    databaseUrl: server.url,
    load: { ...fullLoad, seed: 12 },
    env: { LOG_LEVEL: 'debug' },
    logFile: join(logs, 'gateway.log'),
  };
  const result = await runUnderLoad(run, async (running) => {
    await running.acked(1_000);
    // Nothing but answers may come of it.
    const freeLogs = fill(logs);
    await running.acked(1_000);
    const freeDisk = fill(disk);
    await running.load.reached(({ sends, acks }) => sends - acks > 4 * fullLoad.writers);
    const before = running.load.sends - running.load.acks;
    await sleep(10_000);
    refusedWhileFull = running.load.sends - running.load.acks - before;
    freeDisk();
    freeLogs();
    // Without room for its log of changes PostgreSQL ends; whoever runs it starts it again.
    await server.start();
    seen = await recovery(running, server.url);
    await running.acked(1_000);
    const { ackMs, readyMs, listeningMs } = seen;
    return `recovery=${Math.max(ackMs, readyMs, listeningMs).toFixed(0)}ms`;
  });

  expectNothingLost(result, 5_000);
  expect(refusedWhileFull).toBeGreaterThan(0);
  for (const ms of [seen!.ackMs, seen!.readyMs, seen!.listeningMs]) expect(ms).toBeLessThan(10_000);
});

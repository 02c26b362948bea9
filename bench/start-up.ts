import { mkdtempSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { type Contestant, startGateway } from './contestants.ts';
import { type StartFigures, spreadOf } from './figures.ts';
import { databasePrefix, type Template } from './load-data.ts';
import { cloneDatabase, dataDir, dropDatabase, type Server } from './postgres.ts';
import { atEnd, rssMb } from './processes.ts';

const starts = 3;
const settleMs = 5_000;

/** Row g: from the start of the process to its first GraphQL answer, and its memory when nothing happens. */
export async function measureStart(server: Server, template: Template): Promise<StartFigures> {
  const name = `${databasePrefix}_start`;
  await cloneDatabase(server, template.database, name);
  const givenMs: number[] = [];
  const idle: number[] = [];
  for (let round = 0; round < starts; round += 1) {
    const gateway = await startGateway({ databaseUrl: server.url(name) });
    givenMs.push(gateway.firstAnswerMs);
    await sleep(settleMs);
    idle.push(rssMb(gateway.pid));
    await gateway.stop();
  }
  await dropDatabase(server, name);
  const embeddedMs: number[] = [];
  for (let round = 0; round < starts; round += 1) {
    embeddedMs.push(await inNewFolder((folder) => startGateway({ databaseUrl: undefined, folder })));
  }
  return { on: new Date().toISOString().slice(0, 10), givenMs, embeddedMs, idleMb: spreadOf(idle).middle };
}

// The gateway stops its own PostgreSQL when it stops.
async function inNewFolder(start: (folder: string) => Promise<Contestant>): Promise<number> {
  const folder = mkdtempSync(join(dataDir, 'start-'));
  const remove = () => rmSync(folder, { recursive: true, force: true });
  const forget = atEnd(remove);
  try {
    const gateway = await start(folder);
    await gateway.stop();
    return gateway.firstAnswerMs;
  } finally {
    remove();
    forget();
  }
}

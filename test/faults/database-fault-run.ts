import { setTimeout as sleep } from 'node:timers/promises';
import { createTestDatabase } from '../support/database.ts';
import { until } from '../support/until.ts';
import { DatabaseProxy } from './database-proxy.ts';
import { onConnection } from './feed-ground.ts';
import { type LoadRun, type LoadRunForm, type LoadRunResult, runUnderLoad } from './load-run.ts';
import { holdConversation } from './stop-run.ts';

/** What happens, for so long; `cuts`: how often in that time. */
export type DatabaseFault =
  | { kind: 'latency' | 'black hole' | 'pool exhausted'; lastsMs: number }
  | { kind: 'reset' | 'terminate'; lastsMs: number; cuts: number };

export interface DatabaseFaultForm extends Pick<LoadRunForm, 'load'> {
  faults: DatabaseFault[];
  /** Acknowledged batches before and after each. */
  acks: number;
}

/** How one fault was seen from outside. */
export interface Seen {
  kind: DatabaseFault['kind'];
  /** Of the requests for a list that were made meanwhile. */
  lists: { status: number; ms: number; retryAfter: string | null }[];
  /** From the end of the fault to the next acknowledged batch. */
  ackMs: number;
  /** From the end of the fault until /health/ready says 200. */
  readyMs: number;
  /** From the end of the fault until the connection for hints listens. */
  listeningMs: number;
}

const pool = 4;

/** F14: something between the gateway and its database goes wrong under load, one fault after the other. */
export async function disturbDatabase(form: DatabaseFaultForm): Promise<LoadRunResult & { seen: Seen[] }> {
  const database = await createTestDatabase();
  const proxy = await DatabaseProxy.open(database.url);
  const seen: Seen[] = [];
  const run: LoadRunForm = {
    name: `F14 ${form.faults.map(({ kind }) => kind).join(', ')}`,
    databaseUrl: database.url,
    gatewayDatabaseUrl: proxy.urlOf(database.url),
    env: { DB_POOL: String(pool) },
    load: form.load,
  };
  const result = await runUnderLoad(run, async (running) => {
    for (const fault of form.faults) {
      await running.acked(form.acks);
      const lists = await listsDuring(running, () => disturb(fault, { proxy, databaseUrl: database.url, running }));
      seen.push({ kind: fault.kind, lists, ...(await recovery(running, database.url)) });
    }
    await running.acked(form.acks);
    return seen.map(words).join(' ');
  });
  await proxy.close();
  await database.drop();
  return { ...result, seen };
}

function words({ kind, lists, ackMs, readyMs, listeningMs }: Seen): string {
  const name = kind.replaceAll(' ', '-');
  const slowest = Math.max(...lists.map(({ ms }) => ms)).toFixed(0);
  const recoveryMs = Math.max(ackMs, readyMs, listeningMs).toFixed(0);
  return `${name}-list<=${slowest}ms ${name}-recovery=${recoveryMs}ms`;
}

/** From now until all is well again. */
export async function recovery(
  { gateway, acked }: LoadRun,
  databaseUrl: string,
): Promise<Pick<Seen, 'ackMs' | 'readyMs' | 'listeningMs'>> {
  const begunAt = performance.now();
  const passedMs = () => performance.now() - begunAt;
  const [ackMs, readyMs, listeningMs] = await Promise.all([
    acked(),
    until(async () => (await gateway.readiness()) === 200, 30_000).then(passedMs),
    until(() => isListening(databaseUrl), 30_000).then(passedMs),
  ]);
  return { ackMs, readyMs, listeningMs };
}

// The one connection whose statements are these two.
async function isListening(databaseUrl: string): Promise<boolean> {
  return onConnection(databaseUrl, async (client) => {
    const { rowCount } = await client.query(
      `select from pg_stat_activity where datname = current_database() and application_name = 'parley'
         and (query ~ '^listen ' or query ~ 'pg_notify')`,
    );
    return (rowCount ?? 0) > 0;
  });
}

/** Asks for a list four times a second while `work` runs. */
export async function listsDuring(running: LoadRun, work: () => Promise<void>): Promise<Seen['lists']> {
  const lists: Promise<Seen['lists'][number]>[] = [];
  const timer = setInterval(() => lists.push(list(running)), 250);
  lists.push(list(running));
  await work().finally(() => clearInterval(timer));
  return Promise.all(lists);
}

async function list({ gateway, ground }: LoadRun): Promise<Seen['lists'][number]> {
  const begunAt = performance.now();
  const { status, headers } = await gateway.post('conversations.list', { page_size: 1 }, ground.adminToken);
  return { status, ms: performance.now() - begunAt, retryAfter: headers.get('retry-after') };
}

interface Ways {
  proxy: DatabaseProxy;
  databaseUrl: string;
  running: LoadRun;
}

async function disturb(fault: DatabaseFault, { proxy, databaseUrl, running }: Ways): Promise<void> {
  switch (fault.kind) {
    case 'latency':
      proxy.latencyMs = 200;
      await sleep(fault.lastsMs);
      proxy.latencyMs = 0;
      return;
    case 'black hole':
      proxy.swallow();
      await sleep(fault.lastsMs);
      proxy.letThrough();
      return;
    case 'reset':
      for (let cut = 0; cut < fault.cuts; cut += 1) {
        proxy.reset();
        await sleep(fault.lastsMs / fault.cuts);
      }
      return;
    case 'terminate':
      for (let cut = 0; cut < fault.cuts; cut += 1) {
        await onConnection(databaseUrl, (client) =>
          client.query(
            `select pg_terminate_backend(pid) from pg_stat_activity
             where datname = current_database() and application_name = 'parley'`,
          ),
        );
        await sleep(fault.lastsMs / fault.cuts);
      }
      return;
    case 'pool exhausted':
      await exhaustPool(running, databaseUrl, fault.lastsMs);
  }
}

/** Requests that wait for a lock hold all connections. */
async function exhaustPool({ gateway, ground }: LoadRun, databaseUrl: string, lastsMs: number): Promise<void> {
  const conversationId = await onConnection(databaseUrl, async (client) => {
    const { rows } = await client.query<{ id: string }>('select id from conversation limit 1');
    return rows[0]!.id;
  });
  await holdConversation(databaseUrl, conversationId, async (held) => {
    const message = { conversation_id: conversationId, message: { text: 'waits' } };
    const sends = Array.from({ length: 3 * pool }, () => gateway.post('messages.send', message, ground.adminToken));
    await until(async () => (await held.waiters()) >= pool);
    await sleep(lastsMs);
    await held.release();
    await Promise.allSettled(sends);
  });
}

import { mkdtempSync, rmSync } from 'node:fs';
import { createServer, connect as dial, type Server, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { type RawBuilder, sql } from 'kysely';
import pg from 'pg';
import { type Database, openDatabase } from '../../src/database/open.ts';
import { type DatabaseWakeups, openWakeups } from '../../src/database/wakeups.ts';
import type { Core, Ctx } from '../../src/domain/context.ts';
import { transaction } from '../../src/domain/transaction.ts';
import { createTestDatabase, type TestDatabase } from '../support/database.ts';
import { until } from '../support/until.ts';

let database: TestDatabase;
let proxy: Proxy;
let warnings: string[];
const log = {
  info: () => undefined,
  error: () => undefined,
  warn: (...parts: unknown[]) => warnings.push(String(parts.at(-1))),
} as unknown as Core['log'];

beforeAll(async () => {
  database = await createTestDatabase();
});

afterAll(() => database.drop());

beforeEach(async () => {
  warnings = [];
  proxy = await openProxy(database.url);
});

afterEach(() => proxy.close());

interface Proxy {
  url: string;
  /** Silence: bytes are taken and go nowhere. */
  isSilent: boolean;
  cut(): void;
  close(): Promise<void>;
}

/** Stands between us and the database on a socket of its own, to be cut or silenced. */
async function openProxy(target: string): Promise<Proxy> {
  const { host, port } = new pg.Client({ connectionString: target });
  const folder = mkdtempSync(join(tmpdir(), 'parley-proxy-'));
  const pairs = new Set<Socket>();
  const server: Server = createServer((near) => {
    const far = host.startsWith('/') ? dial(`${host}/.s.PGSQL.${port}`) : dial(port, host);
    for (const [from, to] of [
      [near, far],
      [far, near],
    ] as const) {
      pairs.add(from);
      from.on('data', (bytes) => proxy.isSilent || to.write(bytes));
      from.on('error', () => to.destroy()).on('close', () => to.destroy());
    }
  });
  await new Promise<void>((resolve) => server.listen(join(folder, '.s.PGSQL.5432'), resolve));
  const url = new URL(target);
  url.searchParams.set('host', folder);
  url.port = '5432';
  const proxy: Proxy = {
    url: url.href,
    isSilent: false,
    cut() {
      for (const socket of pairs) socket.destroy();
    },
    async close() {
      proxy.cut();
      await new Promise((resolve) => server.close(resolve));
      rmSync(folder, { recursive: true, force: true });
    },
  };
  return proxy;
}

const open = (change: { isProduction?: boolean; durability?: 'check' | 'ignore'; url?: string } = {}) =>
  openDatabase({
    url: change.url ?? proxy.url,
    entities: [],
    settings: { dbPool: 2, isProduction: change.isProduction ?? false },
    log,
    durability: change.durability ?? 'ignore',
  });

async function run<Row>(db: Database, statement: RawBuilder<Row>): Promise<Row[]> {
  return (await statement.execute(db.em.fork().getKysely())).rows;
}

async function msOf(work: Promise<unknown>): Promise<number> {
  const started = performance.now();
  await work;
  return performance.now() - started;
}

describe('the database connections', () => {
  let db: Database;

  beforeEach(async () => {
    db = await open();
  });

  afterEach(() => db.close());

  it('are limited in time on the server too', async () => {
    const settings = await run(
      db,
      sql`select current_setting('statement_timeout') statement, current_setting('timezone') zone,
            current_setting('idle_in_transaction_session_timeout') idle, current_setting('application_name') name`,
    );
    expect(settings).toEqual([{ statement: '4500ms', idle: '2s', zone: 'UTC', name: 'parley' }]);
  });

  it('let a caller wait 2 s for a pool that is used up', async () => {
    const busy = [run(db, sql`select pg_sleep(3)`), run(db, sql`select pg_sleep(3)`)];

    const given = msOf(expect(run(db, sql`select 1`)).rejects.toThrow('timeout'));
    await until(async () => db.connections().longestWaitMs > 1_000);
    const waitedMs = await given;

    expect(waitedMs).toBeGreaterThan(1_500);
    expect(waitedMs).toBeLessThan(3_000);
    await Promise.all(busy);
    expect(db.connections()).toEqual({ inUse: 0, open: 2, waiting: 0, most: 2, longestWaitMs: 0 });
  });

  it('are replaced after they were cut', async () => {
    await run(db, sql`select 1`);
    proxy.cut();
    // Whether this one hears of the cut or gets a new connection is a matter of luck.
    await run(db, sql`select 1`).catch(() => undefined);

    expect(await run(db, sql`select 1 again`)).toEqual([{ again: 1 }]);
  });

  it('give a silent server up within 5 s, and work at once when it answers again', async () => {
    await run(db, sql`select 1`);
    proxy.isSilent = true;
    expect(await db.status.isReady()).toBe(false);
    expect(await msOf(expect(run(db, sql`select 1`)).rejects.toThrow())).toBeLessThan(5_000);
    proxy.isSilent = false;

    expect(await db.status.isReady()).toBe(true);
  });

  it('go back to the pool when the server falls silent under transactions', async () => {
    const ctx = { em: db.em, core: { wakeups: { hint: () => undefined } } } as unknown as Ctx;
    const write = () => transaction(ctx, (tx) => sql`select pg_sleep(0.01)`.execute(tx.em.getKysely()));
    await Promise.all([write(), write()]);
    proxy.isSilent = true;
    for (const outcome of await Promise.allSettled([write(), write(), write(), write()])) {
      expect(outcome.status).toBe('rejected');
    }
    proxy.isSilent = false;

    await Promise.all([write(), write(), write(), write()]);
    expect(db.connections()).toEqual({ inUse: 0, open: 2, waiting: 0, most: 2, longestWaitMs: 0 });
  }, 10_000);

  it('are ready only when all migrations are in', async () => {
    expect(await db.status.isReady()).toBe(true);
    await run(db, sql`update mikro_orm_migrations set name = name || '_not_yet' where id = 1`);
    expect(await db.status.isReady()).toBe(false);
    await run(db, sql`update mikro_orm_migrations set name = replace(name, '_not_yet', '')`);
  });
});

describe('a server that may lose committed work', () => {
  let unsafe: string;

  beforeAll(async () => {
    const url = new URL(database.url);
    url.searchParams.set('options', '-c synchronous_commit=off');
    unsafe = url.href;
  });

  it('is refused in production', async () => {
    await expect(open({ url: unsafe, isProduction: true, durability: 'check' })).rejects.toThrow('synchronous_commit');
  });

  it('is warned of elsewhere', async () => {
    const db = await open({ url: unsafe, durability: 'check' });
    await db.close();
    expect(warnings).toEqual([expect.stringContaining('synchronous_commit')]);
  });
});

describe('wake-ups', () => {
  let here: DatabaseWakeups;
  let there: DatabaseWakeups;

  beforeEach(async () => {
    [here, there] = await Promise.all([openWakeups({ url: proxy.url, log }), openWakeups({ url: database.url, log })]);
    await quiet();
  });

  afterEach(async () => {
    await Promise.all([here.close(), there.close()]);
  });

  const quiet = () => new Promise((resolve) => setTimeout(resolve, 30));
  const next = (wakeups: DatabaseWakeups, topic: 'event' | 'lane') =>
    new Promise<void>((resolve) => {
      const stop = wakeups.onHint(topic, () => {
        stop();
        resolve();
      });
    });

  it('reach this process and the others, by topic', async () => {
    let lanes = 0;
    there.onHint('lane', () => {
      lanes += 1;
    });
    const heard = [next(here, 'event'), next(there, 'event')];
    here.hint('event');
    await Promise.all(heard);
    await quiet();
    expect(lanes).toBe(0);
  });

  it('fold a burst into few calls, the last one after the last hint', async () => {
    const heard = { here: 0, there: 0 };
    here.onHint('lane', () => {
      heard.here += 1;
    });
    there.onHint('lane', () => {
      heard.there += 1;
    });
    for (let hint = 0; hint < 100; hint += 1) here.hint('lane');
    await until(async () => heard.here > 0 && heard.there > 0);
    await quiet();
    // A busy machine may cut the burst in two.
    expect(heard.here).toBeLessThanOrEqual(2);
    expect(heard.there).toBeLessThanOrEqual(4);
  });

  it('go on in this process while the connection is lost, and tell everybody when it is back', async () => {
    proxy.cut();
    const local = next(here, 'event');
    here.hint('event');
    await local;

    await next(here, 'lane');
    await quiet();
    const heard = next(here, 'lane');
    there.hint('lane');
    await heard;
    expect(warnings[0]).toContain('connection lost');
  });

  it('stay silent after close', async () => {
    await here.close();
    expect(() => here.hint('event')).not.toThrow();
  });
});

import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { sql } from 'kysely';
import pg from 'pg';
import { type Database, openDatabase } from '../../src/database/open.ts';
import type { Core, Ctx } from '../../src/domain/context.ts';
import { type Tx, transaction } from '../../src/domain/transaction.ts';
import { createTestDatabase, type TestDatabase } from '../support/database.ts';

let database: TestDatabase;
let operator: pg.Client;
let db: Database;
const log = { info: () => undefined, error: () => undefined, warn: () => undefined } as unknown as Core['log'];

beforeAll(async () => {
  database = await createTestDatabase();
  operator = new pg.Client({ connectionString: database.url, application_name: 'operator' });
  await operator.connect();
  await operator.query('create table ship (id int primary key, name text)');
});

afterAll(async () => {
  await operator.end();
  await database.drop();
});

beforeEach(async () => {
  const settings = { dbPool: 4, isProduction: false };
  db = await openDatabase({ url: database.url, entities: [], settings, log, durability: 'ignore' });
});

afterEach(() => db.close());

const inTransaction = <T>(work: (tx: Tx) => Promise<T>): Promise<T> =>
  transaction({ em: db.em, core: { wakeups: { hint: () => undefined } } } as unknown as Ctx, work);

const terminateAll = () =>
  operator.query(
    `select pg_terminate_backend(pid) from pg_stat_activity
       where datname = current_database() and application_name = 'parley'`,
  );

async function expectFullPool(): Promise<void> {
  // One for each place of the pool, and all at once: a place that is lost lets the others wait.
  const asleep = Array.from({ length: 4 }, () =>
    inTransaction((tx) => sql`select pg_sleep(0.2)`.execute(tx.em.getKysely())),
  );
  await Promise.all(asleep);
  expect(db.connections()).toMatchObject({ inUse: 0, waiting: 0 });
}

describe('connections that are lost inside transactions', () => {
  it('leave their places in the pool to others when the server ends them all the time', async () => {
    let isOver = false;
    let failures = 0;
    const writers = Array.from({ length: 8 }, async () => {
      while (!isOver) {
        await inTransaction((tx) => sql`select pg_sleep(0.005)`.execute(tx.em.getKysely())).catch(() => {
          failures += 1;
        });
      }
    });
    for (let round = 0; round < 25; round += 1) {
      await terminateAll();
      await new Promise((resolve) => setTimeout(resolve, 60));
    }
    isOver = true;
    await Promise.all(writers);

    expect(failures).toBeGreaterThan(0);
    await expectFullPool();
  }, 30_000);

  it('leave it when the work took so long that the server ended them', async () => {
    const slow = Array.from({ length: 4 }, () =>
      inTransaction(async () => {
        await terminateAll();
        await new Promise((resolve) => setTimeout(resolve, 100));
      }),
    );
    for (const outcome of await Promise.allSettled(slow)) expect(outcome.status).toBe('rejected');

    await expectFullPool();
  });
});

describe('statements that were prepared before a migration', () => {
  const readShips = async (em: Tx['em'], id: number) =>
    (await sql`select s.* from ship s where id = ${id}`.execute(em.getKysely())).rows;

  beforeEach(async () => {
    await operator.query('truncate ship');
    await operator.query("insert into ship values (1, 'Argo')");
  });

  const preparedOnServer = async (em: Tx['em']) =>
    (await sql<{ name: string }>`select name from pg_prepared_statements`.execute(em.getKysely())).rows.length;

  it('are read again outside a transaction', async () => {
    for (let time = 0; time < 5; time += 1) await readShips(db.em.fork(), 1);
    expect(await preparedOnServer(db.em.fork())).toBe(1);
    await operator.query('alter table ship add column sails int');

    expect(await readShips(db.em.fork(), 1)).toEqual([{ id: 1, name: 'Argo', sails: null }]);
    expect(db.connections()).toMatchObject({ inUse: 0 });
  });

  it('run their transaction again', async () => {
    for (let time = 0; time < 5; time += 1) await readShips(db.em.fork(), 1);
    await operator.query('alter table ship add column oars int');
    let runs = 0;
    const ships = await inTransaction((tx) => {
      runs += 1;
      return readShips(tx.em, 1);
    });

    expect(ships).toEqual([expect.objectContaining({ id: 1, oars: null })]);
    expect(runs).toBe(2);
    expect(db.connections()).toMatchObject({ inUse: 0 });
  });

  it('are few when texts differ only in a number', async () => {
    for (let limit = 1; limit <= 30; limit += 1) {
      for (let time = 0; time < 4; time += 1) {
        await sql`select id from ship where id = ${1} limit ${sql.raw(String(limit))}`.execute(
          db.em.fork().getKysely(),
        );
      }
    }
    expect(await preparedOnServer(db.em.fork())).toBe(8);
  });

  it('never pile up on one connection', async () => {
    for (let text = 0; text < 450; text += 1) {
      const column = `c_${'x'.repeat(text % 30)}_${'y'.repeat(text / 30)}`;
      for (let time = 0; time < 3; time += 1) {
        await sql`select id as ${sql.ref(column)} from ship where id = ${1}`.execute(db.em.fork().getKysely());
      }
    }
    expect(await preparedOnServer(db.em.fork())).toBeLessThanOrEqual(200);
  }, 20_000);
});

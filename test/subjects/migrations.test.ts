import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import pg from 'pg';
import {
  DatabaseIsNewer,
  migrateDown,
  migrateUp,
  migrationStatus,
  readMigrations,
} from '../../src/database/migrate.ts';
import { catalogueOf } from '../support/catalogue.ts';
import { createEmptyDatabase, type TestDatabase } from '../support/database.ts';

const names = readMigrations().map((migration) => migration.name);
let database: TestDatabase;
let client: pg.Client;

beforeEach(async () => {
  database = await createEmptyDatabase();
  client = new pg.Client({ connectionString: database.url });
  await client.connect();
});

afterEach(async () => {
  await client.end();
  await database.drop();
});

async function query<Row extends object>(text: string, values: unknown[] = []): Promise<Row[]> {
  return (await client.query<Row>(text, values)).rows;
}

const catalogue = () => catalogueOf(client);

describe('migrations', () => {
  it('bring an empty database to the newest, and do nothing the second time', async () => {
    expect(await migrationStatus(database)).toEqual({ executed: [], pending: names, unknown: [] });

    expect(await migrateUp(database)).toEqual(names);
    expect(await migrationStatus(database)).toEqual({ executed: names, pending: [], unknown: [] });
    const after = await catalogue();

    expect(await migrateUp(database)).toEqual([]);
    expect(await catalogue()).toEqual(after);
  });

  it('leave nothing when all are undone, and make the same again', async () => {
    const before = await catalogue();
    await migrateUp(database);
    const after = await catalogue();
    expect(after.length).toBeGreaterThan(before.length);

    expect(await migrateDown({ ...database, to: 0 })).toEqual(names.toReversed());
    expect(await catalogue()).toEqual(before);

    await migrateUp(database);
    expect(await catalogue()).toEqual(after);
  });

  it('undo and make each step alike', async () => {
    await migrateUp(database);
    const after = await catalogue();
    for (const name of names.toReversed()) expect(await migrateDown(database)).toEqual([name]);
    await migrateUp(database);
    expect(await catalogue()).toEqual(after);
  });

  it('are applied once when several processes start together', async () => {
    const applied = await Promise.all([migrateUp(database), migrateUp(database), migrateUp(database)]);

    expect(applied.flat()).toEqual(names);
  });

  it('refuse to run on a database of a newer version', async () => {
    await migrateUp(database);
    await query(`insert into mikro_orm_migrations (name) values ('999_from_the_future')`);

    await expect(migrateUp(database)).rejects.toThrow(DatabaseIsNewer);
    await expect(migrateDown(database)).rejects.toThrow('999_from_the_future');
    expect((await migrationStatus(database)).unknown).toEqual(['999_from_the_future']);
  });
});

describe('a folder of migrations', () => {
  let folder: string;

  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'parley-migrations-'));
    write('001_shelf', 'create table shelf (id int);\n-- down\ndrop table shelf;\n');
  });

  afterEach(() => {
    rmSync(folder, { recursive: true });
  });

  function write(name: string, content: string): void {
    writeFileSync(join(folder, `${name}.sql`), content);
  }

  it('is applied as a whole or not at all', async () => {
    write('002_wrong', 'create table board (id int); select nothing_like_it();');

    await expect(migrateUp({ ...database, folder })).rejects.toThrow('nothing_like_it');

    expect((await migrationStatus({ ...database, folder })).executed).toEqual([]);
    expect(await query(`select to_regclass('shelf') shelf`)).toEqual([{ shelf: null }]);
  });

  it('takes functions, question marks and several statements as they stand', async () => {
    write(
      '002_more',
      `do $$ begin perform 1; perform 2; end $$; create index on shelf ((id > 1)); select '{"a":1}'::jsonb ? 'a';`,
    );

    expect(await migrateUp({ ...database, folder })).toEqual(['001_shelf', '002_more']);
  });

  it('gives up after 2 s when a table is in use, instead of stopping everybody behind it', async () => {
    await migrateUp({ ...database, folder });
    write('002_wider', 'alter table shelf add width int;\n-- down\nalter table shelf drop width;\n');
    await query('begin');
    await query('select from shelf');

    await expect(migrateUp({ ...database, folder })).rejects.toThrow('lock timeout');

    await query('commit');
    expect(await migrateUp({ ...database, folder })).toEqual(['002_wider']);
  });

  it('says which migration cannot be undone', async () => {
    write('002_forever', 'create table board (id int);');
    await migrateUp({ ...database, folder });

    await expect(migrateDown({ ...database, folder })).rejects.toThrow('002_forever cannot be undone');
  });

  it('refuses a name that would hide a file', async () => {
    write('2-late', 'select 1');

    expect(() => readMigrations(folder)).toThrow('2-late.sql');
  });
});

describe('the event log', () => {
  const log = () =>
    query<{ epoch: string; system_identifier: string; timeline: number; trimmed_txid: string; events: number }>(
      'select *, (select count(*)::int from event) events from event_log',
    );

  async function migratedWithOneEvent() {
    await migrateUp(database);
    await query(`insert into event (kind, payload) values ('tag.updated', '{}')`);
    const [row] = await log();
    return row!;
  }

  it('keeps its epoch from start to start', async () => {
    const first = await migratedWithOneEvent();
    await migrateUp(database);

    expect(await log()).toEqual([first]);
    expect(first.events).toBe(1);
  });

  it.each([
    ['another cluster', 'update event_log set system_identifier = system_identifier - 1, trimmed_txid = $1'],
    ['another point in time', 'update event_log set timeline = timeline + 1, trimmed_txid = $1'],
  ])('starts anew in a copy restored from %s', async (_, restore) => {
    const first = await migratedWithOneEvent();
    await query(restore, ['700']);
    await Promise.all([migrateUp(database), migrateUp(database)]);

    const [row, ...rest] = await log();
    expect(rest).toEqual([]);
    expect(row!.epoch).not.toBe(first.epoch);
    expect(row).toMatchObject({ system_identifier: first.system_identifier, timeline: first.timeline });
    expect(row).toMatchObject({ events: 0, trimmed_txid: '0' });
  });
});

import { cpSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import pg from 'pg';
import { migrateDown, migrateUp } from '../../src/database/migrate.ts';
import { catalogueOf } from '../support/catalogue.ts';
import { createTestDatabase } from '../support/database.ts';
import { onConnection } from './feed-ground.ts';
import { type LoadRun, type LoadRunForm, type LoadRunResult, runUnderLoad } from './load-run.ts';

const migrations = fileURLToPath(new URL('../../migrations', import.meta.url));

/** Of the kind that may run beside traffic: each lock is held for a moment. */
const good = `
alter table message add column plan_note text not null default 'none';
alter table conversation add column plan_rank int;
alter table conversation add constraint plan_rank_above check (plan_rank > 0) not valid;
create table plan_mark (message_id uuid primary key, at timestamptz not null default now());
create index plan_mark_age on plan_mark (at);
-- down
drop table plan_mark;
alter table conversation drop column plan_rank;
alter table message drop column plan_note;
`;
const failing = 'alter table message add column plan_half int; select nothing_like_it();';

export interface MigrationForm extends Pick<LoadRunForm, 'load'> {
  /** Those that are there before. */
  messages: number;
  /** Acknowledged batches before, between and after the steps. */
  acks: number;
}

export interface MigrationResult extends LoadRunResult {
  /** What each of two that were started together applied. */
  together: string[][];
  again: string[];
  failure: string;
  /** The catalogue after the failed one, and after down and up, is the one before. */
  isOldAfterFailure: boolean;
  isSameAfterDownAndUp: boolean;
  isOldAfterDown: boolean;
  /** The longest that anybody waited for a table. */
  lockWaitMs: number;
}

/** F13: migrations of a large database that is in use. */
export async function migrateUnderLoad(form: MigrationForm): Promise<MigrationResult> {
  const database = await createTestDatabase();
  const folder = mkdtempSync(join(tmpdir(), 'parley-plan-migrations-'));
  cpSync(migrations, folder, { recursive: true });
  const write = (name: string, content: string) => writeFileSync(join(folder, `${name}.sql`), content);
  const migration = { url: database.url, folder };
  const catalogue = () => onConnection(database.url, catalogueOf);
  await onConnection(database.url, (client) => addMessages(client, form.messages));

  const seen: Partial<MigrationResult> = {};
  const run = { name: `F13 migration beside ${form.messages} messages`, databaseUrl: database.url, load: form.load };
  const result = await runUnderLoad(run, async ({ acked }: LoadRun) => {
    await acked(form.acks);
    const watch = await watchLocks(database.url);
    const before = await catalogue();
    write('901_plan', good);
    seen.together = await Promise.all([migrateUp(migration), migrateUp(migration)]);
    await acked(form.acks);
    seen.again = await migrateUp(migration);
    const after = await catalogue();
    write('902_failing', failing);
    seen.failure = await migrateUp(migration).then(String, (error: Error) => error.message);
    seen.isOldAfterFailure = isSame(await catalogue(), after);
    rmSync(join(folder, '902_failing.sql'));
    await acked(form.acks);
    await migrateDown(migration);
    seen.isOldAfterDown = isSame(await catalogue(), before);
    await acked(form.acks);
    await migrateUp(migration);
    seen.isSameAfterDownAndUp = isSame(await catalogue(), after);
    await acked(form.acks);
    seen.lockWaitMs = await watch.stop();
    // The verifier looks at all there is, and what was there before is not of its ledger.
    await onConnection(database.url, removeMessages);
    return `lock-wait<=${seen.lockWaitMs.toFixed(0)}ms`;
  });
  rmSync(folder, { recursive: true });
  await database.drop();
  return { ...(seen as MigrationResult), ...result };
}

const isSame = (one: string[], other: string[]) => one.join('\n') === other.join('\n');
const perConversation = 100;

// Without the checks of foreign keys, and without counters and events: they are not there for the gateway's ledger.
async function addMessages(client: pg.Client, count: number): Promise<void> {
  await client.query(`set session_replication_role = replica`);
  await client.query(
    `insert into source (id, source_id, token_id, token_encrypted, signing_secret_encrypted)
     values (gen_random_uuid(), 'plan-before', gen_random_uuid(), '', '')`,
  );
  await client.query(
    `insert into conversation (id, source, source_conversation_id, channel_id, message_count, next_sequence, last_message_at,
       created_at)
     select gen_random_uuid(), s.id, 'before-' || n, gen_random_uuid(), $1, $1 + 1, now(), now()
     from source s, generate_series(1, $2::int) n where s.source_id = 'plan-before'`,
    [perConversation, count / perConversation],
  );
  await client.query(
    `insert into message (id, conversation_id, source, source_message_id, sequence, from_contact, sender_type, sender_id,
       content, delivery_state, sent_at)
     select gen_random_uuid(), c.id, c.source, c.source_conversation_id || '-' || n, n, true, 'CONTACT', 'somebody',
       jsonb_build_object('text', repeat('x', 90)), 'DELIVERED', now()
     from conversation c join source s on s.id = c.source, generate_series(1, $1::int) n where s.source_id = 'plan-before'`,
    [perConversation],
  );
  await client.query('analyze');
}

async function removeMessages(client: pg.Client): Promise<void> {
  await client.query(`set session_replication_role = replica`);
  const ofSource = `source = (select id from source where source_id = 'plan-before')`;
  await client.query(`delete from message where ${ofSource}`);
  await client.query(`delete from conversation where ${ofSource}`);
}

/** Looks fifty times a second how long anybody has been waiting for a table, until `stop` tells the most. */
async function watchLocks(databaseUrl: string): Promise<{ stop(): Promise<number> }> {
  const client = new pg.Client({ connectionString: databaseUrl });
  await client.connect();
  let most = 0;
  const timer = setInterval(async () => {
    const { rows } = await client.query<{ ms: number | null }>(
      `select (extract(epoch from max(clock_timestamp() - waitstart)) * 1000)::float8 ms from pg_locks
       where not granted and locktype = 'relation' and database = (select oid from pg_database where datname = current_database())`,
    );
    most = Math.max(most, rows[0]?.ms ?? 0);
  }, 20);
  return {
    async stop() {
      clearInterval(timer);
      await client.end();
      return most;
    },
  };
}

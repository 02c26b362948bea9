import { execFile, spawnSync } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { textOf } from './driver/scripts.ts';
import { longMessages, tagIdSql, tagIds } from './load-data.ts';
import { type ClosedOperation, yardstickConnections } from './operations.ts';
import { dataDir, withConnection } from './postgres.ts';
import { ingestSql, listByNameSql, listByTagSql, listSql, listUnreadSql, messagesSql } from './statements.ts';

/** The ceiling of the yardstick: the same SQL without Node. */
export interface Ceiling {
  databaseUrl: string;
  sourceName: string;
  conversations: number;
}

/** `pgbench (PostgreSQL) 15.18`, or undefined where it is not installed. */
export function pgbenchVersion(): string | undefined {
  const { status, stdout } = spawnSync('pgbench', ['--version'], { encoding: 'utf8' });
  return status === 0 ? stdout.trim() : undefined;
}

/** Lets SQL compute ids as the gateway does. */
export async function prepareCeiling({ databaseUrl, sourceName }: Ceiling): Promise<void> {
  const digest = `digest('${sourceName}' || name, 'sha1')`;
  await withConnection(databaseUrl, (client) =>
    client.query(`
      create extension if not exists pgcrypto;
      create or replace function bench_id(name text) returns uuid language sql immutable as $$
        select encode(set_byte(set_byte(substring(${digest} from 1 for 16), 6, (get_byte(${digest}, 6) & 15) | 80), 8,
          (get_byte(${digest}, 8) & 63) | 128), 'hex')::uuid $$`),
  );
}

/** Runs one slice. @returns transactions a second */
export async function runPgbench(operation: ClosedOperation, ceiling: Ceiling, seconds: number): Promise<number> {
  const script = join(dataDir, 'pgbench', `${operation.name.replace(/\W/g, '-')}.sql`);
  mkdirSync(join(dataDir, 'pgbench'), { recursive: true });
  writeFileSync(script, await scriptOf(operation, ceiling));
  const url = new URL(ceiling.databaseUrl);
  const host = url.searchParams.get('host') ?? url.hostname;
  const { stdout } = await promisify(execFile)(
    'pgbench',
    [
      ...['--no-vacuum', '--protocol=prepared', '--jobs=2', `--client=${yardstickConnections}`, `--time=${seconds}`],
      ...[`--file=${script}`, `--host=${host}`, `--port=${url.port || 5432}`],
      ...[`--username=${decodeURIComponent(url.username)}`, url.pathname.slice(1)],
    ],
    {
      env: {
        PATH: process.env.PATH ?? '/usr/bin:/bin',
        PGPASSWORD: decodeURIComponent(url.password),
        // As the yardstick's connections have it.
        PGOPTIONS: `-c enable_bitmapscan=${operation.filter === 'name' ? 'on' : 'off'}`,
      },
      timeout: (seconds + 60) * 1_000,
    },
  );
  const rate = /^tps = ([\d.]+)/m.exec(stdout)?.[1];
  const failed = /^number of failed transactions: (\d+)/m.exec(stdout)?.[1];
  if (rate === undefined || (failed !== undefined && failed !== '0')) throw new Error(`pgbench failed: ${stdout}`);
  return Number(rate);
}

async function scriptOf({ kind, batch, filter }: ClosedOperation, { sourceName, conversations, databaseUrl }: Ceiling) {
  const oneLine = (sql: string) => `${sql.replace(/\s+/g, ' ').trim()};\n`;
  const conversation = "bench_id('c' || :n)";
  switch (kind) {
    case 'ingest':
      return oneLine(
        ingestSql({
          source: `(select id from source where source_id = '${sourceName}')`,
          slot: '(:client_id % 16)::smallint',
          incoming: incomingSql(batch, conversations),
        }),
      );
    case 'list':
      switch (filter) {
        case 'name':
          return oneLine(listByNameSql({ pattern: "'%lovelace %'", limit: 21 }));
        case 'tag':
          // As a subquery the id is made once, not for each conversation that it is compared with.
          return `\\set t random(1, ${tagIds.length})\n${oneLine(listByTagSql({ tag: `(select ${tagIdSql(':t::int')})`, limit: 21 }))}`;
        case 'unread':
          return oneLine(listUnreadSql(21));
        default:
          return oneLine(listSql(21));
      }
    case 'messages':
      return `\\set n random(1, ${conversations})\n${oneLine(messagesSql({ conversation, limit: 21 }))}`;
    case 'messages_deep': {
      const after = `timestamptz '${await longStart(databaseUrl)}' + (:k - 1) * interval '1 min', :k`;
      const place = `\\set n 0\n\\set k random(1, ${longMessages - 21})\n`;
      return place + oneLine(messagesSql({ conversation, limit: 21, after }));
    }
    case 'send':
      throw new Error('a call cannot be made by pgbench');
  }
}

async function longStart(databaseUrl: string): Promise<string> {
  const { rows } = await withConnection(databaseUrl, (client) =>
    client.query<{ at: string }>(`select created_at::text at from conversation where source_conversation_id = 'c0'`),
  );
  return rows[0]!.at;
}

// What the driver sends, made by the server: 5 in 100 to new conversations.
function incomingSql(batch: number, conversations: number): string {
  return `
    select ord, gen_random_uuid() id, bench_id(name) conversation_id, 'p-' || gen_random_uuid() source_message_id,
      name source_conversation_id, bench_id('channel-' || n % 10) channel_id,
      case when is_new then 's-' || name else 's' || n end sender, true from_contact, gen_random_uuid() contact_id,
      '{"text":"${textOf('pgbench-00000000')}"}'::jsonb content, now() sent_at
    from (
      select ord, n, is_new, case when is_new then 'n-' || gen_random_uuid() else 'c' || n end name
      from (
        select ord, 1 + floor(random() * ${conversations})::int n, random() < 0.05 is_new
        from generate_series(1, ${batch}) ord offset 0) drawn offset 0) named`;
}

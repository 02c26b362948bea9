import { createHash } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type pg from 'pg';
import { migrateUp } from '../src/database/migrate.ts';
import { sourceThingId } from '../src/domain/ids.ts';
import { adminAccount, call, startGateway } from './contestants.ts';
import { type Size, sizes } from './options.ts';
import { connect, dropDatabase, projectDir, type Server, withConnection } from './postgres.ts';

/** What the template database holds; kept as its comment. */
export interface DataSet {
  sourceId: string;
  sourceToken: string;
  /** Conversations of ten messages, named c1 to cN. */
  conversations: number;
  messages: number;
  unread: number;
  matches: Matches;
}

/** How many conversations each filter of the bench matches. */
export interface Matches {
  name: number;
  /** In the order of `tagIds`. */
  tags: number[];
  unread: number;
}

export interface Template {
  database: string;
  data: DataSet;
}

const sourceId = 'bench';
const channels = 10;
const messagesEach = 10;
/** The long conversation is called c0. */
export const longMessages = 20_000;
const tags = 20;
const tagIdStart = '01940000-0000-7000-9000-';
export const tagIds = Array.from(
  { length: tags },
  (_, index) => tagIdStart + (index + 1).toString(16).padStart(12, '0'),
);
/** SQL of the id of a tag; numbers begin at 1. */
export const tagIdSql = (number: string): string => `('${tagIdStart}' || lpad(to_hex(${number}), 12, '0'))::uuid`;
/** Conversations of one insert. */
const chunk = 25_000;
const loaders = 2;

/** Begins the names of all databases of the bench. */
export const databasePrefix = 'parley_bench';

/**
 * The database that all clones of a size are made from: it is loaded once and kept, until the migrations or this file
 * change.
 */
export async function ensureTemplate(server: Server, size: Size, say: (line: string) => void): Promise<Template> {
  const database = `${databasePrefix}_template_${size}_${fingerprint()}`;
  const kept = await keptDataSet(server, database);
  if (kept) return { database, data: kept };
  const older = await server.query<{ datname: string }>(
    `select datname from pg_database where starts_with(datname, $1)`,
    [`${databasePrefix}_template_${size}_`],
  );
  for (const { datname } of older) await dropDatabase(server, datname);
  say(`loading ${sizes[size].toLocaleString('en')} conversations, once`);
  const startedAt = Date.now();
  await server.query(`create database "${database}"`);
  const sourceToken = await makeAccounts(server.url(database));
  const data = await load(server.url(database), sizes[size], sourceToken, say);
  // Last: a template without it is half made, and is made again.
  await server.query(`comment on database "${database}" is '${JSON.stringify(data)}'`);
  say(`loaded in ${Math.round((Date.now() - startedAt) / 1_000)} s`);
  return { database, data };
}

function fingerprint(): string {
  const hash = createHash('sha256').update(readFileSync(import.meta.filename));
  const folder = join(projectDir, 'migrations');
  for (const file of readdirSync(folder).sort()) hash.update(readFileSync(join(folder, file)));
  return hash.digest('hex').slice(0, 8);
}

async function keptDataSet(server: Server, database: string): Promise<DataSet | undefined> {
  const [found] = await server.query<{ about: string | null }>(
    `select shobj_description(oid, 'pg_database') about from pg_database where datname = $1`,
    [database],
  );
  return found?.about ? (JSON.parse(found.about) as DataSet) : undefined;
}

/** Account, source and channels come through the API, as with everybody. */
async function makeAccounts(url: string): Promise<string> {
  await migrateUp({ url });
  const gateway = await startGateway({ databaseUrl: url });
  try {
    const { port } = gateway;
    const admin = await call<{ token: string }>(port, 'users.signup', adminAccount);
    const source = await call<{ token: string }>(port, 'sources.create', { source_id: sourceId }, admin);
    for (let channel = 0; channel < channels; channel += 1) {
      const body = { source_channel_id: channelName(channel), name: `Channel ${channel}` };
      await call(port, 'sources.channels.create', body, { token: source.token, status: 201 });
    }
    return source.token;
  } finally {
    await gateway.stop();
  }
}

/** Name, at the source, of the channel of a conversation. */
export function channelName(conversation: number): string {
  return `channel-${conversation % channels}`;
}

async function load(
  url: string,
  conversations: number,
  sourceToken: string,
  say: (line: string) => void,
): Promise<DataSet> {
  return withConnection(url, async (client) => {
    await client.query(`create extension pgcrypto`);
    await client.query(`set synchronous_commit = off; set maintenance_work_mem = '256MB'; set work_mem = '64MB'`);
    await fillConversations(client, conversations);
    const messages = await fillMessages(client, url, conversations, say);
    await client.query('drop extension pgcrypto');
    // Flushes with the next commit what the others left open: vacuum takes no row for visible to all before, and scans of
    // an index alone would read the tables of half of the templates.
    await client.query('set synchronous_commit = on');
    const [{ unread } = { unread: 0 }] = (
      await client.query<{ unread: number }>(`select sum(unread_count)::int unread from conversation`)
    ).rows;
    await client.query(`
      insert into counter (name, slot, value)
      select 'contacts', 0, count(*) from contact
      union all select 'conversations', 0, count(*) from conversation
      union all select 'conversations_channel:' || channel_id, 0, count(*) from conversation group by channel_id
      union all select 'conversations_source:' || source, 0, count(*) from conversation group by source
      union all select 'conversations_tag:' || tag_id, 0, count(*) from conversation_tag group by tag_id
      union all select 'unread_conversations', 0, count(*) from conversation where unread_count > 0
      union all select 'unread_messages', 0, sum(unread_count) from conversation
      on conflict (name, slot) do update set value = excluded.value`);
    const matches = await countMatches(client);
    await client.query('vacuum (freeze, analyze)');
    await client.query('checkpoint');
    return { sourceId, sourceToken, conversations, messages, unread, matches };
  });
}

// One by one and from the rows themselves: neither the gateway's counters nor its indexes have a say in it.
async function countMatches(client: pg.Client): Promise<Matches> {
  const { rows } = await client.query<Matches>(
    `select
       (select count(*)::int from conversation c join contact p on p.id = c.contact_id
         where p.display_name like '%Lovelace') "name",
       (select count(*)::int from conversation where unread_count >= 1) unread,
       array(select (select count(*)::int from conversation_tag where tag_id = t.id)
         from unnest($1::uuid[]) with ordinality t(id, place) order by place) tags`,
    [tagIds],
  );
  return rows[0]!;
}

// The layout of `sourceThingId`, over the SHA-1 in a column.
const thingId = (digest: string): string =>
  `encode(set_byte(set_byte(${digest}, 6, (get_byte(${digest}, 6) & 15) | 80), 8, (get_byte(${digest}, 8) & 63) | 128), 'hex')::uuid`;
const digestOf = (name: string): string => `substring(digest('${sourceId}' || ${name}, 'sha1') from 1 for 16)`;

const contactId = `('01940000-0000-7000-8000-' || lpad(to_hex(n), 12, '0'))::uuid`;
const firstNames = 'Grace,Alan,Barbara,Edsger,Frances,Donald,Hedy,John,Jean,Ken,Karen,Linus,Radia,Tim,Sophie,Vint';
const lastNames =
  'Hopper,Turing,Liskov,Dijkstra,Allen,Knuth,Lamarr,Backus,Bartik,Thompson,Jones,Torvalds,Perlman,Berners,Wilson';

async function fillConversations(client: pg.Client, conversations: number): Promise<void> {
  // Neighbours in the list lie far apart in the table, as in a database that has grown.
  const lastAt = `timestamptz '2025-01-01 00:00:00Z' + ((n::bigint * 7919) % ${conversations + 1}) * interval '1 s'`;
  const made = `now() - interval '2 years'`;
  await client.query(`
    insert into contact (id, display_name, first_name, last_name, created_at)
    select ${contactId}, first || ' ' || last, first, last, ${made}
    from (
      select n, (string_to_array('${firstNames}', ','))[1 + n % 16] "first",
        case when n % 1000 = 500 then 'Lovelace' else (string_to_array('${lastNames}', ','))[1 + n / 16 % 15] end "last"
      from generate_series(0, ${conversations}) n) names`);
  await client.query(`
    insert into contact_identity (source, sender_id, contact_id)
    select s.id, 's' || n, ${contactId} from source s, generate_series(0, ${conversations}) n`);
  await client.query(`
    insert into conversation (id, source, source_conversation_id, channel_id, contact_id, unread_count, message_count,
      next_sequence, last_message_at, last_message_id, created_at, updated_at)
    select ${thingId('d')}, s.id, 'c' || n, h.id, ${contactId}, case when n > 0 and n % 20 = 0 then 2 else 0 end,
      count, count + 1, last_at, ${thingId('last_d')}, last_at - (count - 1) * interval '1 min', last_at
    from source s, (
      select n, ${digestOf(`'c' || n`)} d, case n when 0 then ${longMessages} else ${messagesEach} end count,
        ${lastAt} last_at, ${digestOf(`'m' || n || '-' || case n when 0 then ${longMessages} else ${messagesEach} end`)} last_d
      from generate_series(0, ${conversations}) n offset 0) c
    join channel h on h.source_channel_id = 'channel-' || n % ${channels}
    where s.source_id = '${sourceId}'`);
  await client.query(`
    insert into conversation_recency (last_message_at, conversation_id, unread_count)
    select last_message_at, id, unread_count from conversation`);
  await client.query(`
    insert into tag (id, name, color)
    select ${tagIdSql('n')}, 'tag ' || lpad(n::text, 2, '0'),
      (array['RED', 'BLUE', 'GREEN', 'PURPLE'])[1 + n % 4]
    from generate_series(1, ${tags}) n`);
  // A third of the conversations has one: 1.7 in 100 for each tag.
  await client.query(`
    insert into conversation_tag (conversation_id, tag_id)
    select ${thingId('d')}, ${tagIdSql(`1 + n / 3 % ${tags}`)}
    from (select n, ${digestOf(`'c' || n`)} d from generate_series(3, ${conversations}, 3) n offset 0) c`);
}

/** Without its indexes the table fills several times faster; they come back as they were. */
async function fillMessages(
  client: pg.Client,
  url: string,
  conversations: number,
  say: (line: string) => void,
): Promise<number> {
  const keys = await client.query<{ name: string; definition: string }>(
    `select conname name, pg_get_constraintdef(oid) definition from pg_constraint
     where conrelid = 'message'::regclass and contype in ('p', 'u')`,
  );
  const indexes = await client.query<{ name: string; definition: string }>(
    `select indexname name, indexdef definition from pg_indexes
     where tablename = 'message' and indexname not in (select conname from pg_constraint where conrelid = 'message'::regclass)`,
  );
  for (const { name } of keys.rows) await client.query(`alter table message drop constraint "${name}"`);
  for (const { name } of indexes.rows) await client.query(`drop index "${name}"`);
  const chunks: [number, number][] = [[0, 0]];
  for (let first = 1; first <= conversations; first += chunk) {
    chunks.push([first, Math.min(conversations, first + chunk - 1)]);
  }
  let done = 0;
  const work = async () => {
    const own = await connect(url);
    await own.query('set synchronous_commit = off');
    for (let next = chunks.shift(); next; next = chunks.shift()) {
      await own.query(messagesOf(next));
      done += next[1] - next[0] + 1;
      if (conversations > chunk * 4) say(`messages of ${done.toLocaleString('en')} conversations`);
    }
    await own.end();
  };
  await Promise.all(Array.from({ length: loaders }, work));
  for (const { name, definition } of keys.rows) {
    await client.query(`alter table message add constraint "${name}" ${definition}`);
  }
  for (const { definition } of indexes.rows) await client.query(definition);
  const example = await client.query(`select from message where id = $1 and conversation_id = $2`, [
    sourceThingId(sourceId, 'm7-3'),
    sourceThingId(sourceId, 'c7'),
  ]);
  if (example.rowCount !== 1) throw new Error('the ids of the data set are not those that the gateway computes');
  return conversations * messagesEach + longMessages;
}

// Every second message is the contact's, the last one too. 90 characters each.
function messagesOf([first, last]: [number, number]): string {
  return `
    insert into message (id, conversation_id, source, source_message_id, sequence, from_contact, sender_type, sender_id,
      content, delivery_state, sent_at, created_at)
    select ${thingId('d')}, conversation_id, source, name, k, k % 2 = 0,
      case k % 2 when 0 then 'CONTACT' else 'SOURCE' end, case k % 2 when 0 then contact_id::text else 'desk' end,
      jsonb_build_object('text', rpad('Message ' || k || ' of conversation ' || n || ': ', 90, 'all is well and will be so ')),
      'DELIVERED', sent_at, sent_at
    from (
      select c.id conversation_id, c.source, c.contact_id, n, k, 'm' || n || '-' || k "name",
        ${digestOf(`'m' || n || '-' || k`)} d, c.created_at + (k - 1) * interval '1 min' sent_at
      from generate_series(${first}, ${last}) n
      join conversation c on c.source_conversation_id = 'c' || n and c.source = (select id from source where source_id = '${sourceId}')
      cross join lateral generate_series(1, c.message_count) k
      offset 0) m`;
}

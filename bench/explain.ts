/**
 * Asks the gateway for lists with each filter that the contract names and prints how PostgreSQL found them: the source of
 * docs/queries.md. `node bench/explain.ts [10k|100k|1m]`
 */
import { readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { sourceThingId } from '../src/domain/ids.ts';
import { adminAccount, call, startGateway } from './contestants.ts';
import { databasePrefix, ensureTemplate } from './load-data.ts';
import { type Size, sizes } from './options.ts';
import { cloneDatabase, dataDir, dropDatabase, openServer, withConnection } from './postgres.ts';
import { endAll } from './processes.ts';

const tag = (n: number) => `01940000-0000-7000-9000-${n.toString(16).padStart(12, '0')}`;
const channel = (n: number) => sourceThingId('bench', `channel-${n}`);

/** Name and filter. The data set: bench/load-data.ts; what it lacks is made below. */
const queries: [string, string][] = [
  ['no filter', ''],
  ['a part of a name, 1 in 1,000', 'display_name:*Lovelace'],
  ['a name, 1 in 16', 'display_name:grace'],
  ['a name and a source', 'display_name:lovelace AND source:bench'],
  ['phrase, near miss or wildcard', 'display_name:"Ada Lovelace" OR display_name:Lovelaec~1 OR display_name:Lov?lac*'],
  ['an id', `id:"${sourceThingId('bench', 'c77')}"`],
  ['a tag, 1.7 in 100', `tag_ids:${tag(7)}`],
  ['a rare tag', `tag_ids:${tag(99)}`],
  ['two tags', `tag_ids:(${tag(7)} AND ${tag(99)})`],
  ['unread, 5 in 100', 'unread_count:[1 TO *]'],
  ['two or more unread', 'unread_count:[2 TO *]'],
  ['nothing unread', 'unread_count:0'],
  ['begun within an hour', 'created_at:[1735700000000 TO 1735703600000]'],
  ['begun within a month', 'created_at:[1735700000000 TO 1738300000000]'],
  ['metadata, exact', 'metadata.user_data.erp.id:k4711'],
  ['metadata, wildcard', 'metadata.user_data.erp.id:k4*'],
  ['not closed, of two sources', 'NOT metadata.state:CLOSED AND source:(bench other)'],
  ['closed, 1 in 1,000', 'metadata.state:CLOSED'],
  ['one of two channels', `channel_id:(${channel(1)} OR ${channel(2)})`],
  ['unread ones of a channel with a tag', `unread_count:[1 TO *] AND channel_id:${channel(0)} AND tag_ids:${tag(7)}`],
  ['a name by one letter, nobody', 'display_name:Quixotex~1'],
  ['nothing that is there', 'display_name:nobodyatall'],
];

/** What the data set lacks: a rare tag, closed conversations, facts. Then every statement tells its plan in the server's log. */
const preparation = `
  insert into tag (id, name, color) values ('${tag(99)}', 'rare', 'RED');
  insert into conversation_tag (conversation_id, tag_id)
    select id, '${tag(99)}' from conversation where source_conversation_id like 'c%0007';
  update conversation set state = 'CLOSED' where source_conversation_id like 'c%777';
  update conversation set metadata = jsonb_build_object('user_data', jsonb_build_object('erp',
    jsonb_build_object('id', 'k' || substr(source_conversation_id, 2)))) where source_conversation_id like 'c%11';
  insert into counter (name, slot, value)
    select 'conversations_tag:${tag(99)}', 0, count(*) from conversation_tag where tag_id = '${tag(99)}'
    union all select 'conversations_state:CLOSED', 0, count(*) from conversation where state = 'CLOSED';
  analyze;
  do $$ begin
    execute format('alter database %I set session_preload_libraries = auto_explain', current_database());
    execute format('alter database %I set auto_explain.log_min_duration = 0', current_database());
    execute format('alter database %I set auto_explain.log_analyze = on', current_database());
    execute format('alter database %I set auto_explain.log_timing = off', current_database());
  end $$`;

const log = join(dataDir, 'embedded', 'server.log');

const indentOf = (line: string): number => line.search(/\S/);

/** The part of a plan that finds the page: what is joined to its rows is the same each time. All of it where nothing is. */
function found(plan: readonly string[]): string[] {
  const at = plan.findIndex((line) => /CTE hit|-> {2}Limit/.test(line));
  if (at < 0 || !plan.some((line) => line.includes('channel_pkey'))) return [...plan];
  const end = plan.findIndex((line, index) => index > at && indentOf(line) <= indentOf(plan[at]!));
  return plan.slice(at, end < 0 ? undefined : end).map((line) => line.slice(indentOf(plan[at]!)));
}

/** Plans of what was asked of conversations, as PostgreSQL wrote them: shorter, as ids and texts say nothing here. */
function plansSince(from: number): string[] {
  const text = readFileSync(log).subarray(from).toString();
  const entries = text.matchAll(/duration: ([\d.]+) ms {2}plan:\n\tQuery Text: ((?:.|\n\t)*)/g);
  return [...entries].flatMap(([, ms, entry]) => {
    const [query, ...plan] = entry!.split(/\n\t(?=\S.*\(cost=)/);
    if (!/conversation_recency|from conversation c/.test(query!)) return [];
    const lines = plan.join('\n').replaceAll('\n\t', '\n').split('\n');
    const shown = found(lines)
      .filter((line) => /\(actual |Cond|Filter/.test(line))
      .map((line) => line.replace(/\(cost=\S+ rows=(\d+) width=\d+\) /, '').slice(0, 140));
    return [`${ms} ms\n${shown.join('\n')}`];
  });
}

const size = (process.argv[2] ?? '1m') as Size;
if (!Object.hasOwn(sizes, size)) throw new Error(`the size must be one of ${Object.keys(sizes).join(', ')}`);
const say = (line: string) => process.stderr.write(`${line}\n`);
const server = await openServer(undefined);
const database = `${databasePrefix}_explain`;
try {
  const template = await ensureTemplate(server, size, say);
  await cloneDatabase(server, template.database, database);
  await withConnection(server.url(database), (client) => client.query(preparation));
  const gateway = await startGateway({ databaseUrl: server.url(database) });
  const { email, password } = adminAccount;
  const { token } = await call<{ token: string }>(gateway.port, 'users.login', { email, password });
  for (const [name, filters] of queries) {
    const ask = () =>
      call<{ response_metadata: { filtered_total: number } }>(
        gateway.port,
        'conversations.list',
        { filters },
        { token },
      ).then(
        (body) => body.response_metadata.filtered_total,
        (error: Error) => error.message.slice(0, 100),
      );
    const times: number[] = [];
    let matches: number | string = 0;
    let from = 0;
    for (let round = 0; round < 7; round += 1) {
      // What is known for a second is asked anew in the last round.
      if (round === 6) await sleep(1_100);
      from = statSync(log).size;
      const startedAt = performance.now();
      matches = await ask();
      times.push(performance.now() - startedAt);
    }
    await sleep(50);
    const middle = times.slice(1, 6).sort((a, b) => a - b)[2]!;
    process.stdout.write(`\n## ${name}\n\n\`${filters}\`: ${matches} match, ${middle.toFixed(1)} ms\n\n`);
    for (const plan of plansSince(from)) process.stdout.write(`\`\`\`\n${plan}\n\`\`\`\n`);
  }
  await gateway.stop();
} finally {
  await endAll();
  await dropDatabase(server, database);
  await server.stop();
}

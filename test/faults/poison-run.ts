import pg from 'pg';
import { type ActionEndpoint, type Answer, type Route, success } from '../support/action-endpoint.ts';
import { until } from '../support/until.ts';
import { makePlace, type Tested } from './action-ground.ts';
import { tellFigures } from './figures.ts';
import { percentile } from './webhook-load.ts';

export interface PoisonForm {
  name: string;
  /** Poisoned messages of each kind, each in a conversation of its own. */
  poison: number;
  good: number;
}

export interface PoisonResult {
  /** Codes of the poisoned ones, by kind. */
  codes: Record<string, string[]>;
  /** Those that messages.list does not show as failed. */
  unlisted: number;
  /** Those that are not delivered when their fault is gone and somebody sends them again. */
  notReplayed: number;
  /** Good ones that are not delivered. */
  lost: number;
  /** What the good ones took beside the poison, in parts of what they take alone. */
  factor: number;
}

const large = JSON.stringify({ text: 'x'.repeat(1024 * 1024) });

/** F15: messages that throw, that are too large or that their endpoint never takes, before good ones of other lanes. */
export async function sendBehindPoison(
  tested: Tested,
  endpoint: ActionEndpoint,
  form: PoisonForm,
): Promise<PoisonResult> {
  const client = new pg.Client({ connectionString: tested.databaseUrl });
  await client.connect();
  const sql = async (text: string, ...values: unknown[]) => (await client.query(text, values)).rows;
  try {
    await sendGood(tested, endpoint, form.good / 4);
    const alone = await sendGood(tested, endpoint, form.good);
    const poison = await poisonFor(tested, endpoint, form.poison, sql);
    const beside = await sendGood(tested, endpoint, form.good);
    const messages = poison.flatMap(({ ids }) => ids);
    await until(
      async () => (await sql(`select 1 from message where delivery_state = 'PENDING' limit 1`)).length === 0,
      60_000,
    );
    const codes: Record<string, string[]> = {};
    for (const { kind, ids } of poison) {
      const rows = await sql(`select distinct failure->>'code' code from message where id = any($1::uuid[])`, ids);
      codes[kind] = rows.map(({ code }) => code);
    }
    const unlisted = await countUnlisted(tested, poison);
    for (const { heal } of poison) await heal();
    for (const id of messages) await tested.post('messages.resend', { message_id: id }, tested.adminToken);
    const left = () =>
      sql(`select 1 from message where delivery_state <> 'DELIVERED' and id = any($1::uuid[])`, messages);
    await until(async () => (await left()).length === 0, 30_000).catch(() => undefined);
    const result: PoisonResult = {
      codes,
      unlisted,
      notReplayed: (await left()).length,
      lost: beside.lost,
      factor: beside.ms / alone.ms,
    };
    const [{ dup, pending }] = await sql(
      `select count(*) filter (where n > 1)::int dup,
         (select count(*)::int from message where delivery_state = 'PENDING') pending
       from (select count(*) n from event e join message m on m.id::text = e.payload->>'messageId'
         where e.kind = 'message.updated' and m.id = any($1::uuid[]) group by m.id) changes`,
      beside.ids,
    );
    tellFigures(
      form.name,
      {
        lost: beside.lost,
        dup,
        phantom: 0,
        stuck: pending,
        p99: percentile(beside.latencies, 0.99),
        rss: tested.rssMb(),
      },
      `good=${form.good} poison=${messages.length} alone=${alone.ms.toFixed(0)}ms beside=${beside.ms.toFixed(0)}ms factor=${result.factor.toFixed(2)} not-replayed=${result.notReplayed}`,
    );
    return result;
  } finally {
    await client.end();
  }
}

async function sendGood(tested: Tested, endpoint: ActionEndpoint, count: number) {
  const routes: Route[] = [];
  const conversations: string[] = [];
  for (let source = 0; source < 4; source += 1) {
    const route = endpoint.route();
    routes.push(route);
    conversations.push(...(await makePlace(tested, route.url, 25)).conversations);
  }
  const sentAt = new Map<string, number>();
  const startedAt = performance.now();
  let next = 0;
  const write = async () => {
    while (next < count) {
      const n = next;
      next += 1;
      const body = { conversation_id: conversations[n % conversations.length], message: { text: `${n}` } };
      const { status, body: answer } = await tested.post('messages.send', body, tested.adminToken);
      if (status === 200) sentAt.set(answer.id, performance.now());
    }
  };
  await Promise.all(Array.from({ length: 8 }, write));
  const calls = () => routes.flatMap((route) => route.calls);
  await until(async () => calls().length >= count, 60_000).catch(() => undefined);
  const latencies = calls().map(({ messageId, at }) => Math.max(0, at - sentAt.get(messageId)!));
  return {
    ms: performance.now() - startedAt,
    ids: [...sentAt.keys()],
    lost: count - new Set(calls().map(({ messageId }) => messageId)).size,
    latencies: latencies.sort((one, other) => one - other),
  };
}

interface Poison {
  kind: 'throws' | 'large' | 'refused';
  ids: string[];
  conversations: string[];
  /** Takes the fault away. */
  heal(): Promise<unknown>;
}

async function poisonFor(
  tested: Tested,
  endpoint: ActionEndpoint,
  count: number,
  sql: (text: string, ...values: unknown[]) => Promise<unknown>,
): Promise<Poison[]> {
  const answers: Record<Poison['kind'], (bytes: number) => Answer> = {
    throws: () => success(),
    large: (bytes) => ({ status: bytes > large.length ? 413 : 500 }),
    refused: () => ({ status: 500 }),
  };
  const made: Poison[] = [];
  for (const kind of ['throws', 'large', 'refused'] as const) {
    const route = endpoint.route(({ raw }) => answers[kind](raw.length));
    const { sourceId, conversations } = await makePlace(tested, route.url, count);
    // A key that does not decrypt: making the call throws.
    const spoil = async () => {
      await sql('update source set token_encrypted = reverse(token_encrypted) where source_id = $1', sourceId);
      // After a change the process reads the source anew.
      await tested.post('sources.update', { source_id: sourceId, name: 'Spoiled' }, tested.adminToken);
    };
    if (kind === 'throws') await spoil();
    const ids: string[] = [];
    for (const id of conversations) {
      const body = { conversation_id: id, message: { text: 'poison' } };
      ids.push((await tested.post('messages.send', body, tested.adminToken)).body.id);
    }
    // The API takes 64 KiB at most: this is what a fault of ours could leave behind.
    if (kind === 'large') await sql('update message set content = $1::jsonb where id = any($2::uuid[])', large, ids);
    const heal = async () => {
      route.answerBy(() => success());
      if (kind === 'throws') await spoil();
    };
    made.push({ kind, ids, conversations, heal });
  }
  return made;
}

async function countUnlisted({ post, adminToken }: Tested, poison: Poison[]): Promise<number> {
  let unlisted = 0;
  for (const { ids, conversations } of poison) {
    for (const [index, id] of conversations.entries()) {
      const { body } = await post('messages.list', { conversation_id: id }, adminToken);
      const shown = body.data.find((message: { id: string }) => message.id === ids[index]);
      if (shown?.delivery_state !== 'failed') unlisted += 1;
    }
  }
  return unlisted;
}

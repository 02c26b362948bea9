import { randomUUID } from 'node:crypto';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { sql } from 'kysely';
import { systemCtx } from '../../src/domain/context.ts';
import {
  appendEvents,
  encodeEventCursor,
  hasUnsafeEvents,
  lockConversations,
  readEvents,
} from '../../src/domain/events.ts';
import { claimLanes, ensurePeriodicLanes, workLane } from '../../src/domain/jobs.ts';
import { retentionLane } from '../../src/domain/retention.ts';
import { rows } from '../../src/domain/statement.ts';
import { transaction } from '../../src/domain/transaction.ts';
import { type App, startApp } from '../support/app.ts';
import { until } from '../support/until.ts';
import { HeardFeed, numbered, numberOf, onConnection, writeSideBySide } from './feed-ground.ts';
import { endSubscribers, InboxSubscriber } from './inbox-subscriber.ts';

let app: App;
let token: string;
beforeAll(async () => {
  // Without a worker, so that the retention runs when a test says so.
  app = await startApp({ settings: { role: 'gateway', dbPool: 14 } });
  ({ token } = await app.make.admin());
});
afterAll(endSubscribers);

const query = <Row>(statement: ReturnType<typeof sql<Row>>) => rows<Row>(app.core.em.fork(), statement);
/** Of the event of a conversation. `eventCursor` may lie before it: transactions of other databases hold it back too. */
async function placeOf(conversationId: string): Promise<{ cursor: string; position: string }> {
  const [event] = await query<{ epoch: string; txid: string; id: string }>(
    sql`select epoch, txid::text, id::text from event, event_log where conversation_id = ${conversationId}::uuid`,
  );
  const { epoch, txid, id } = event!;
  return { cursor: encodeEventCursor(epoch, { txid: BigInt(txid), id: BigInt(id) }), position: `${txid}.${id}` };
}
const happen = (...numbers: number[]) => {
  const conversationId = randomUUID();
  const told = transaction(systemCtx(app.core, 'test'), async (tx) => {
    await lockConversations(tx, [conversationId]);
    await appendEvents(
      tx,
      numbers.map(() => ({ kind: 'conversation.updated', conversationId, payload: {} }) as const),
    );
  });
  return told.then(() => conversationId);
};

describe('the feed', () => {
  it('tells what concurrent transactions with pauses wrote, each once, in an order that is safe', async () => {
    const result = await writeSideBySide(app.core, {
      writers: 8,
      transactions: 60,
      conversations: 20,
      pauseMs: 6,
      rollbacks: 0.03,
    });

    process.stdout.write(`feed: ${JSON.stringify(result)}\n`);
    expect(result).toMatchObject({ skipped: 0, doubled: 0, inverted: 0, reordered: 0 });
  });

  it('waits for an open transaction that writes, and then loses nothing', async () => {
    const feed = await HeardFeed.start(app.core);
    const { position } = feed;
    const conversationId = randomUUID();
    const write = (n: number) =>
      transaction(systemCtx(app.core, 'test'), async (tx) => {
        await lockConversations(tx, [conversationId]);
        await appendEvents(tx, [numbered(conversationId, n)]);
      });
    await onConnection(app.database.url, async (client) => {
      await client.query('begin');
      const insert = `insert into event (conversation_id, kind, payload) values ($1, 'message.updated', '{"messageId": "1"}')`;
      await client.query(insert, [conversationId]);
      await write(2);
      await write(3);

      const ours = (event: { conversationId: string | null }) => event.conversationId === conversationId;
      expect((await readEvents(app.core, position, 1_000)).filter(ours)).toEqual([]);
      expect(await hasUnsafeEvents(app.core, position)).toBe(true);
      expect(feed.events.filter(ours)).toEqual([]);
      await client.query('commit');
    });

    expect((await feed.of([conversationId], 3)).map(numberOf)).toEqual([1, 2, 3]);
    await feed.stop();
  });

  it('does not wait for a transaction that only reads', async () => {
    const feed = await HeardFeed.start(app.core);
    const conversationId = await onConnection(app.database.url, async (client) => {
      await client.query('begin isolation level repeatable read read only');
      await client.query('select count(*) from event');
      const id = await happen(1);
      await feed.of([id], 1);
      return id;
    });

    expect(feed.events.at(-1)?.conversationId).toBe(conversationId);
    await feed.stop();
  });

  // The second of two transactions waits for the first one's conversation. Lock first: its id is the later one.
  async function orderOfTwo(second: 'locks first' | 'writes first') {
    const feed = await HeardFeed.start(app.core);
    const conversationId = randomUUID();
    const hasLock = Promise.withResolvers<void>();
    const mayCommit = Promise.withResolvers<void>();
    const isWaiting = Promise.withResolvers<number>();
    const ctx = () => systemCtx(app.core, 'test');
    const first = transaction(ctx(), async (tx) => {
      const begun = await isWaiting.promise;
      await lockConversations(tx, [conversationId]);
      hasLock.resolve();
      await appendEvents(tx, [numbered(conversationId, 1)]);
      if (begun) await mayCommit.promise;
    });
    const other = transaction(ctx(), async (tx) => {
      if (second === 'writes first') await rows(tx.em, sql`select pg_current_xact_id()`);
      const [{ pid = 0 } = {}] = await rows<{ pid: number }>(tx.em, sql`select pg_backend_pid() pid`);
      isWaiting.resolve(pid);
      await hasLock.promise;
      await lockConversations(tx, [conversationId]);
      await appendEvents(tx, [numbered(conversationId, 2)]);
    });
    const pid = await isWaiting.promise;
    await until(async () => {
      const waits = await query(sql`select from pg_locks where pid = ${pid} and locktype = 'advisory' and not granted`);
      return waits.length > 0;
    });
    mayCommit.resolve();
    await Promise.all([first, other]);
    const heard = await feed.of([conversationId], 2);
    await feed.stop();
    return heard.map(numberOf);
  }

  it('tells the events of a conversation in the order of its locks (trap 4)', async () => {
    expect(await orderOfTwo('locks first')).toEqual([1, 2]);
  });

  it('would tell them in another order if a transaction wrote before it locked', async () => {
    expect(await orderOfTwo('writes first')).toEqual([2, 1]);
  });
});

describe('a subscriber', () => {
  const subscribe = (after?: string) => new InboxSubscriber(app.wsUrl, { token, after, comesBack: false });
  afterEach(endSubscribers);

  it('is told to begin again when its log was replaced while it was connected, and when it comes back', async () => {
    const { cursor } = await placeOf(await happen(1));
    const open = subscribe(cursor);
    const before = await placeOf(await happen(1));
    await until(async () => open.has(before));
    await query(sql`update event_log set epoch = gen_random_uuid()`);
    await until(async () => open.resets.length === 1);
    const back = subscribe(cursor);
    await until(async () => back.resets.length === 1);
    const after = await placeOf(await happen(1));
    await until(async () => open.has(after) && back.has(after));

    expect(open.resets).toEqual(['the event log was replaced']);
    expect(back.resets).toEqual(['the cursor is of another event log']);
    expect(back.heard[0]?.kind).toBe('ResetEvent');
  });

  it('is told to begin again when events were removed before they were read', async () => {
    const open = subscribe((await placeOf(await happen(1))).cursor);
    const before = await placeOf(await happen(1));
    await until(async () => open.has(before));
    // As a process finds it that was stopped for longer than the retention.
    await onConnection(app.database.url, async (client) => {
      await client.query('begin');
      await client.query(`insert into event (kind, payload) values ('tag.updated', '{}')`);
      await client.query(`update event_log set (trimmed_txid, trimmed_id) =
        (select txid, id from event where txid = pg_current_xact_id())`);
      await client.query('delete from event where txid = pg_current_xact_id()');
      await client.query('commit');
    });
    await until(async () => open.resets.length > 0);

    expect(open.resets).toEqual(['events were removed before they were read']);
  });
});

describe('the retention', () => {
  const age = (conversationId: string, days: number) =>
    query(
      sql`update event set at = now() - make_interval(days => ${days}::int) where conversation_id = ${conversationId}::uuid`,
    );
  const kept = async () => {
    const found = await query<{ id: string }>(
      sql`select conversation_id::text id from event where conversation_id is not null order by txid, event.id`,
    );
    return found.map(({ id }) => id);
  };
  async function runRetention(): Promise<void> {
    await query(sql`delete from lane`);
    await ensurePeriodicLanes(app.core, [retentionLane]);
    const { lanes } = await claimLanes(app.core, 1, false);
    await workLane(app.core, lanes[0]!, performance.now());
  }
  beforeEach(async () => {
    await query(sql`delete from event`);
  });
  afterEach(endSubscribers);

  it('removes what is older than EVENT_RETENTION, and nothing else', async () => {
    const old = [await happen(1), await happen(1)];
    const young = [await happen(1), await happen(1)];
    for (const id of old) await age(id, 8);
    await age(young[0]!, 6);
    await runRetention();

    expect(await kept()).toEqual(young);
  });

  it('tells a subscriber to begin again whose next events are gone, and no other', async () => {
    const [first, gone, young] = [await happen(1), await happen(1), await happen(1)];
    const [before, after] = [await placeOf(first), await placeOf(gone)];
    for (const id of [first, gone]) await age(id, 8);
    await runRetention();
    const late = subscribe(before.cursor);
    const inTime = subscribe(after.cursor);
    await until(async () => late.resets.length === 1 && inTime.heard.length === 1);

    expect(await kept()).toEqual([young]);
    expect(inTime.resets).toEqual([]);
    expect(late.heard[0]?.kind).toBe('ResetEvent');
  });

  it('forgets none for ever: a transaction that began earlier may stand behind a later one in the log', async () => {
    const later = await happen(1);
    const earlier = await happen(1);
    await age(earlier, 8);
    await runRetention();
    await age(later, 8);
    await runRetention();

    expect(await kept()).toEqual([]);
  });

  it('comes back by itself after a minute, at once while there is more than a batch', async () => {
    await runRetention();
    const dueIn = async () => {
      const [row] = await query<{ s: number }>(sql`select extract(epoch from due_at - now())::float8 s from lane`);
      return row!.s;
    };
    expect(await dueIn()).toBeGreaterThan(50);

    await query(
      sql`insert into event (kind, payload, at) select 'tag.updated', '{}', now() - interval '8 days' from generate_series(1, 10500)`,
    );
    await runRetention();
    expect(await dueIn()).toBeLessThanOrEqual(0);
    await runRetention();
    expect(await query(sql`select from event`)).toEqual([]);
  });

  const subscribe = (after: string) => new InboxSubscriber(app.wsUrl, { token, after, comesBack: false });
});

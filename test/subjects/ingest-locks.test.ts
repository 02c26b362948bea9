import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import type { EntityManager } from '@mikro-orm/postgresql';
import { sql } from 'kysely';
import pg from 'pg';
import { systemCtx, withEm } from '../../src/domain/context.ts';
import { sourceThingId } from '../../src/domain/ids.ts';
import type { IngestEntry } from '../../src/domain/messaging/sources/ingest-batch.ts';
import { locksForIngest } from '../../src/domain/messaging/sources/ingest-state.ts';
import { rows } from '../../src/domain/statement.ts';
import { tracePlace } from '../../src/domain/tracing.ts';
import type { Tx } from '../../src/domain/transaction.ts';
import { type App, type Json, startApp } from '../support/app.ts';
import { until } from '../support/until.ts';

describe('The locks of an ingest', () => {
  let app: App;
  let holder: pg.Client;
  beforeAll(async () => {
    app = await startApp();
    holder = new pg.Client({ connectionString: app.database.url });
    await holder.connect();
  });
  afterAll(() => holder.end());

  /** A batch of the source that takes it alone, or that shares it. */
  function entry(source: string, mode: 'alone' | 'shared'): IngestEntry {
    const metadata = [{ namespace: 'conversation', sourceId: 'not there yet', metadata: {} }];
    return {
      source: { id: source, name: source },
      messages: [],
      metadata: mode === 'alone' ? metadata : [],
      faults: [],
      place: tracePlace(),
    };
  }

  /** Takes the locks of the entries and lets them go, in one transaction without a second try. */
  async function takeLocks(entries: IngestEntry[], whileHeld: (tx: Tx) => Promise<unknown> = async () => undefined) {
    const ctx = systemCtx(app.core, 'test');
    return ctx.em.fork().transactional(async (em) => {
      const tx: Tx = { ...withEm(ctx, em as EntityManager), hints: new Set() };
      await rows(tx.em, locksForIngest(entries, []).statement);
      return whileHeld(tx);
    });
  }

  async function waiters(): Promise<number> {
    const { rows: found } = await holder.query(
      `select count(*)::int n from pg_locks where locktype = 'advisory' and not granted
         and database = (select oid from pg_database where datname = current_database())`,
    );
    return found[0].n;
  }

  it('never wait for each other, whichever sources are taken alone and which are shared', async () => {
    const [a, gate, b] = [1, 2, 3].map((n) => `${n}${randomUUID().slice(1)}`) as [string, string, string];
    await holder.query('select pg_advisory_lock(8, hashtext($1))', [gate]);
    const both = Promise.allSettled([
      takeLocks([entry(a, 'alone'), entry(gate, 'shared'), entry(b, 'shared')]),
      takeLocks([entry(b, 'alone'), entry(gate, 'shared'), entry(a, 'shared')]),
    ]);
    await until(async () => (await waiters()) === 2);
    await holder.query('select pg_advisory_unlock_all()');
    expect((await both).map(({ status }) => status)).toEqual(['fulfilled', 'fulfilled']);
  });

  it('of two sources with one key are one lock, alone if either is', async () => {
    const { rows: found } = await holder.query(
      `select min(id) a, max(id) b from (
         select md5(n::text)::uuid::text id from generate_series(1, 300000) n) ids
       group by hashtext(id) having count(*) > 1 limit 1`,
    );
    const { a, b } = found[0];
    for (const entries of [
      [entry(a, 'alone'), entry(b, 'shared')],
      [entry(a, 'shared'), entry(b, 'alone')],
    ]) {
      const held = await takeLocks(entries, (tx) =>
        rows<{ mode: string }>(
          tx.em,
          sql`select mode from pg_locks where locktype = 'advisory' and classid = 8 and pid = pg_backend_pid()`,
        ),
      );
      expect(held).toEqual([{ mode: 'ExclusiveLock' }]);
    }
  });

  it('include the conversation of a message that appears while they are waited for', async () => {
    const { source, id, messageIds } = await app.make.conversation();
    const metadata = [{ namespace: 'message', source_id: 'late', metadata: { seen: true } }];
    const [{ key }] = (await rows<Json>(
      app.core.em.fork(),
      sql`select id::text key from source where source_id = ${source.sourceId}`,
    )) as [Json];
    await holder.query('select pg_advisory_lock(8, hashtext($1))', [key]);
    await holder.query('select pg_advisory_lock(7, hashtext($1::uuid::text) & 1023)', [id]);
    let isAnswered = false;
    const answer = app.rest('sources.webhook', { metadata }, { token: source.token }).finally(() => {
      isAnswered = true;
    });
    await until(async () => (await waiters()) === 1);
    // As if it were sent by us and the source had just taken it.
    await holder.query(`update message set sender_type = 'USER', source_message_id = 'late' where id = $1`, [
      messageIds[0],
    ]);
    await holder.query('select pg_advisory_unlock(8, hashtext($1))', [key]);
    await until(async () => isAnswered || (await waitsForConversation()));
    expect(isAnswered).toBe(false);
    await holder.query('select pg_advisory_unlock_all()');
    expect((await answer).status).toBe(200);
    const { rows: stored } = await holder.query('select metadata from message where id = $1', [messageIds[0]]);
    expect(stored).toEqual([{ metadata: { seen: true } }]);
    expect(sourceThingId(source.sourceId, 'late')).not.toBe(messageIds[0]);
  });

  async function waitsForConversation(): Promise<boolean> {
    const { rowCount } = await holder.query(
      `select 1 from pg_locks where locktype = 'advisory' and classid = 7 and not granted
         and database = (select oid from pg_database where datname = current_database())`,
    );
    return rowCount === 1;
  }
});

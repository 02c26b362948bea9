import type pg from 'pg';
import type { Core } from '../domain/context.ts';

interface EventLogRow {
  is_same: boolean;
}

const compare = `
  select system_identifier = (select system_identifier from pg_control_system())
     and timeline = (select timeline_id from pg_control_checkpoint()) is_same
  from event_log`;

/**
 * Makes the one row of `event_log`, or starts a new log when this database is a copy restored from a dump or from an
 * older point in time: transaction ids began anew there, so old events would stand above new ones and old cursors
 * would skip them. A new epoch tells the clients to read again. Returns true when a new log was started.
 *
 * One reset after each failover is the price of noticing a point-in-time restore by its timeline.
 *
 * @see lanes-and-events, "Cursor"
 */
export async function keepEventLog(client: pg.Client, log?: Pick<Core['log'], 'info'>): Promise<boolean> {
  const known = await client.query<{ known: string | null }>(`select to_regclass('event_log')::text known`);
  // Only while migrations that come before the table are being undone or tested.
  if (!known.rows[0]?.known) return false;
  if (await isRight(client)) return false;
  await client.query('begin');
  try {
    await client.query('lock table event_log in share row exclusive mode');
    const isFirst = (await client.query('select from event_log')).rowCount === 0;
    const isStillWrong = !(await isRight(client));
    if (isStillWrong) {
      await client.query('truncate event');
      await client.query('delete from event_log');
      await client.query(`
        insert into event_log (epoch, system_identifier, timeline, trimmed_txid, trimmed_id)
        select gen_random_uuid(), s.system_identifier, c.timeline_id, '0', 0
        from pg_control_system() s, pg_control_checkpoint() c`);
    }
    await client.query('commit');
    if (isStillWrong && !isFirst) log?.info('this database is a restored copy: the event log starts anew');
    return isStillWrong;
  } catch (error) {
    await client.query('rollback').catch(() => undefined);
    throw error;
  }
}

async function isRight(client: pg.Client): Promise<boolean> {
  const { rows } = await client.query<EventLogRow>(compare);
  return rows.length === 1 && rows[0]!.is_same;
}

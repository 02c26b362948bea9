import { sql } from 'kysely';
import { rows } from '../../statement.ts';
import type { Tx } from '../../transaction.ts';
import type { Metadata } from './metadata.service.ts';

/**
 * Shares the lock that metadata without a subject takes alone, so that nothing is kept as "not there yet" beside us. Take
 * it before the conversations' locks.
 */
export async function shareSubjectsOf(tx: Tx, source: string): Promise<void> {
  await rows(tx.em, sql`select pg_advisory_xact_lock_shared(8, hashtext(${source}))`);
}

/** Takes what waited for a message that has come; undefined where nothing did. */
export async function takeWaitingMetadata(
  tx: Tx,
  source: string,
  sourceMessageId: string,
): Promise<Metadata | undefined> {
  const [taken] = await rows<{ metadata: Metadata }>(
    tx.em,
    sql`delete from waiting_metadata where source = ${source}::uuid and namespace = 'message'
          and subject_id = ${sourceMessageId} returning metadata`,
  );
  return taken?.metadata;
}

import { type RawBuilder, sql } from 'kysely';
import { lockOfConversation } from '../../events.ts';
import { rows } from '../../statement.ts';
import type { Tx } from '../../transaction.ts';
import type { Metadata } from './metadata.service.ts';

/**
 * First statement of a result's transaction: shares the lock that metadata without a subject takes alone, so that nothing is
 * kept as "not there yet" beside us, and then takes that of the conversation.
 */
export function lockForResult(source: string, conversationId: string): RawBuilder<unknown> {
  return sql`select l.ok from (select pg_advisory_xact_lock_shared(8, hashtext(${source}))::text = '' ok offset 0) s
        cross join lateral (${lockOfConversation(conversationId)}) l where s.ok`;
}

/** Part of a larger statement: a row where metadata waits for a message of this id. */
export function waitingMetadataOf(source: string, sourceMessageId: string): RawBuilder<unknown> {
  return sql`select 1 from waiting_metadata
      where source = ${source}::uuid and namespace = 'message' and subject_id = ${sourceMessageId}`;
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

import { type RawBuilder, sql } from 'kysely';
import { rows } from '../../statement.ts';
import type { Tx } from '../../transaction.ts';
import type { Metadata } from './metadata.service.ts';

/**
 * First statement of a transaction that writes results: shares the lock of each source that metadata without a subject takes
 * alone, so that nothing is kept as "not there yet" beside us, and then takes those of the conversations. Always in the
 * order that an ingest has.
 */
export function lockForResults(sources: readonly string[], conversationIds: readonly string[]): RawBuilder<unknown> {
  return sql`select case class when 8 then pg_advisory_xact_lock_shared(class, key) else pg_advisory_xact_lock(class, key) end
        from (
          select class, key from (
            select 8 class, hashtext(s) key from unnest(${[...sources]}::text[]) s
            union all
            select 7, hashtext(c::text) & 1023 from unnest(${[...conversationIds]}::uuid[]) c) wanted
          group by class, key order by class desc, key) locks`;
}

/** Part of a larger statement: a row where metadata waits for a message of this id. */
export function waitingMetadataOf(source: string, sourceMessageId: string): RawBuilder<unknown> {
  return sql`select 1 from waiting_metadata
      where source = ${source}::uuid and namespace = 'message' and subject_id = ${sourceMessageId}`;
}

/** Takes what waited for a conversation or message that has come; undefined where nothing did. */
export async function takeWaitingMetadata(
  tx: Tx,
  subject: { source: string; namespace: 'conversation' | 'message'; subjectId: string },
): Promise<Metadata | undefined> {
  const [taken] = await rows<{ metadata: Metadata }>(
    tx.em,
    sql`delete from waiting_metadata where source = ${subject.source}::uuid and namespace = ${subject.namespace}
          and subject_id = ${subject.subjectId} returning metadata`,
  );
  return taken?.metadata;
}

import { type RawBuilder, sql } from 'kysely';
import { plainArray, rows, textArray } from '../../statement.ts';
import type { Tx } from '../../transaction.ts';
import type { Metadata } from './metadata.service.ts';

/**
 * The locks of what a source tells: first the sources, each alone or shared, then the conversations, always by the key of
 * the lock and not by mode, so that no two of those who take them wait for each other. Metadata without a subject takes its
 * source alone and all else shares it, so nothing is kept as "not there yet" beside its subject's coming.
 *
 * @param sources by id, whether it is taken alone
 */
export function sourceLocks(
  sources: ReadonlyMap<string, boolean>,
  conversationIds: Iterable<string>,
): RawBuilder<unknown> {
  // The inner query is grouped and sorted before the outer one takes the first lock. Sources may share a key: the
  // stronger mode counts, as a lock that is raised later could wait for another that is raised.
  return sql`select case when alone then pg_advisory_xact_lock(class, key) else pg_advisory_xact_lock_shared(class, key) end
        from (
          select class, key, bool_or(alone) alone from (
            select 8 class, hashtext(s) key, alone
              from unnest(${textArray([...sources.keys()])}::text[], ${plainArray([...sources.values()])}::boolean[]) t(s, alone)
            union all
            select 7, hashtext(c::text) & 1023, true from unnest(${plainArray([...conversationIds])}::uuid[]) c) wanted
          group by class, key order by class desc, key) locks`;
}

/** First statement of a transaction that writes what came of messages: it shares their sources. */
export function lockForResults(sources: readonly string[], conversationIds: readonly string[]): RawBuilder<unknown> {
  return sourceLocks(new Map(sources.map((source) => [source, false])), conversationIds);
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

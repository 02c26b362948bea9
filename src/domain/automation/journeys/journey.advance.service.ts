import { sql } from 'kysely';
import type { Ctx } from '../../context.ts';
import { appendEvents } from '../../events.ts';
import { type LaneKind, type LaneResult, type Lease, LeaseLost } from '../../jobs.ts';
import { changeListeners } from '../../messaging/conversations/conversation.open.service.ts';
import { lockForResults } from '../../messaging/metadata/waiting-metadata.service.ts';
import { rows } from '../../statement.ts';
import { type Tx, transaction } from '../../transaction.ts';
import { StepFailed } from '../flows/steps.service.ts';
import { closeJourney, type JourneyState, readJourneyState } from './journey-rows.ts';
import { failure, runSlice, type Slice } from './journey-run.ts';

/** What one claim works off before others get a turn. */
const mostSlices = 20;
const longestMs = 10_000;
/** What a slice may take, with what is around it. */
const sliceMs = 5_000;

/** The journey's row has moved on since it was read: what was computed from it does not hold. */
class Moved extends Error {}

/**
 * The work of a journey's lane, and the only code beside `endJourney` that moves a journey. A slice of steps is computed without
 * a lock and written in one transaction that checks the row's version and, last, the fence of the lane: kill the process
 * anywhere, and either all of a slice is there or nothing. A timer is the due time of the lane.
 *
 * @see contracts, "Domain sketch", Journeys
 */
export const advanceJourney: LaneKind = {
  async work(ctx, lease) {
    const endsAt = performance.now() + longestMs;
    for (let count = 0; count < mostSlices && performance.now() < endsAt; count += 1) {
      if (!(await lease.isHeld(sliceMs))) throw new LeaseLost(lease.lane);
      const state = await readJourneyState(ctx, lease.lane.id);
      if (state?.status !== 'ACTIVE') return { next: 'finish' };
      const result = await advance(ctx, lease, state);
      if (result) return result;
    }
    return { next: 'release' };
  },
};

/** Undefined: there are steps to run at once. */
async function advance(ctx: Ctx, lease: Lease, state: JourneyState): Promise<LaneResult | undefined> {
  const slice = await runSlice(ctx, state);
  try {
    const { wakeInMs, isToldMore } = await write(ctx, lease, state, slice);
    // What came while the slice was computed may be what it waits for now; whoever told it saw the wait before.
    if (slice.goesOn || (isToldMore && !slice.ended)) return undefined;
    return wakeInMs === null ? { next: 'finish' } : { next: 'timer', inMs: Math.max(0, wakeInMs) };
  } catch (error) {
    if (error instanceof Moved) return undefined;
    if (!(error instanceof StepFailed) || !slice.withoutEffect) throw error;
    const { course, consumedUpTo } = slice.withoutEffect;
    const ended = failure(course.stepId, error);
    return write(ctx, lease, state, { course, consumedUpTo, ended, goesOn: false }).then(
      () => ({ next: 'finish' }),
      (fault: unknown) => {
        if (fault instanceof Moved) return undefined;
        throw fault;
      },
    );
  }
}

interface Written {
  /** Until the wait ends by itself; null where it does not. */
  wakeInMs: number | null;
  /** Events came since the state was read. */
  isToldMore: boolean;
}

function write(ctx: Ctx, lease: Lease, state: JourneyState, slice: Slice): Promise<Written> {
  const { effect, ended, consumedUpTo } = slice;
  const bound = effect?.binds;
  const isRebound = bound !== undefined && bound.conversationId !== state.conversationId;
  return transaction(ctx, async (tx) => {
    // Conversations before the journey, as an ingest has it.
    const own = state.conversationId !== null && (ended || isRebound) ? [state.conversationId] : [];
    const locked = [...new Set([...own, ...(effect?.conversationIds ?? [])])];
    if (locked.length > 0) await rows(tx.em, lockForResults(effect?.sources ?? [], locked));
    const written = await moveJourney(tx, state, slice);
    if (ended) await closeJourney(tx, state.id);
    else if (consumedUpTo > 0) {
      await rows(
        tx.em,
        sql`update journey_event set consumed_at = now()
            where journey_id = ${state.id}::uuid and seq <= ${consumedUpTo}::int and consumed_at is null`,
      );
    }
    await effect?.apply(tx);
    if (own.length > 0) await changeListeners(tx, own[0]!, -1);
    if (isRebound && !ended) await changeListeners(tx, bound.conversationId, 1);
    await appendEvents(tx, [{ kind: 'journey.updated', conversationId: null, payload: { journeyId: state.id } }]);
    await lease.check(tx);
    return written;
  });
}

async function moveJourney(tx: Tx, state: JourneyState, { course, ended, effect }: Slice): Promise<Written> {
  const { conversationId, contactId } = effect?.binds ?? state;
  const json = (value: unknown) => (value == null ? null : JSON.stringify(value));
  const [moved] = await rows<{ wake_in_ms: number | null; next_event: number }>(
    tx.em,
    sql`update journey set status = ${ended?.status ?? 'ACTIVE'}, reason = ${storable(ended?.reason)},
          step_id = ${course.stepId}, waiting = ${ended ? null : json(course.waiting)}::jsonb,
          wake_at = ${ended ? null : (course.wakeAt?.toISOString() ?? null)}::timestamptz,
          vars = ${JSON.stringify(course.vars)}::jsonb, event = ${json(course.event)}::jsonb,
          steps = ${JSON.stringify(course.steps)}::jsonb, steps_run = ${course.stepsRun}::int,
          looked_at = ${course.lookedAt}::int, conversation_id = ${conversationId}::uuid, contact_id = ${contactId}::uuid,
          version = version + 1, updated_at = now(), ended_at = case when ${Boolean(ended)} then now() end
        where id = ${state.id}::uuid and version = ${state.version}::int and status = 'ACTIVE'
        returning (extract(epoch from wake_at - now()) * 1000)::float8 wake_in_ms, next_event`,
  );
  if (!moved) throw new Moved();
  return { wakeInMs: moved.wake_in_ms, isToldMore: moved.next_event !== state.nextEvent };
}

// What a script says of itself may hold what PostgreSQL refuses, and must not keep the journey from its end.
function storable(text: string | null | undefined): string | null {
  return text == null ? null : text.replaceAll('\0', '').toWellFormed();
}

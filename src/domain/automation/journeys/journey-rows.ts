import { type RawBuilder, sql } from 'kysely';
import type { Ctx } from '../../context.ts';
import { epochMs, readRows, rows } from '../../statement.ts';
import type { Tx } from '../../transaction.ts';
import type { FlowDefinition, Waiting } from '../flows/steps.service.ts';

export type JourneyStatus = 'ACTIVE' | 'COMPLETED' | 'ABORTED' | 'REPLACED' | 'FAILED';
export type IdentifierType = 'TEXT' | 'PHONE' | 'JOURNEY_ID';

/** A journey as others see it. */
export interface Journey {
  id: string;
  legacyId: string;
  flowId: string;
  /** Of the version that it keeps. */
  flowNumber: number;
  status: JourneyStatus;
  /** Why it failed, or what its end step said. */
  reason: string | null;
  /** The step that runs next, waits, or was the last one. */
  stepId: string;
  /** The event that its step waits for; null while it waits for time alone, or runs. */
  waitingFor: string | null;
  /** When the wait ends by itself. */
  wakeAt: Date | null;
  vars: Record<string, unknown>;
  start: Record<string, unknown>;
  contactId: string | null;
  conversationId: string | null;
  replacedById: string | null;
  startedAt: Date;
  updatedAt: Date;
  endedAt: Date | null;
}

interface JourneyRow {
  id: string;
  flow_id: string;
  flow_number: number;
  status: JourneyStatus;
  reason: string | null;
  step_id: string;
  waiting_for: string | null;
  wake_at: number | null;
  vars: Record<string, unknown>;
  start: Record<string, unknown>;
  contact_id: string | null;
  conversation_id: string | null;
  replaced_by: string | null;
  started_at: number;
  updated_at: number;
  ended_at: number | null;
}

/** For `select`, of a table called j. */
export const journeyColumns = sql.raw(`
  j.id::text, j.flow_id::text, j.flow_number, j.status, j.reason, j.step_id, j.waiting #>> '{event,name}' waiting_for,
  ${epochMs('j.wake_at')} wake_at, j.vars, j.start, j.contact_id::text, j.conversation_id::text, j.replaced_by::text,
  ${epochMs('j.started_at')} started_at, ${epochMs('j.updated_at')} updated_at, ${epochMs('j.ended_at')} ended_at`);

export function toJourney(row: JourneyRow): Journey {
  return {
    id: row.id,
    legacyId: row.id,
    flowId: row.flow_id,
    flowNumber: row.flow_number,
    status: row.status,
    reason: row.reason,
    stepId: row.step_id,
    waitingFor: row.waiting_for,
    wakeAt: row.wake_at === null ? null : new Date(row.wake_at),
    vars: row.vars,
    start: row.start,
    contactId: row.contact_id,
    conversationId: row.conversation_id,
    replacedById: row.replaced_by,
    startedAt: new Date(row.started_at),
    updatedAt: new Date(row.updated_at),
    endedAt: row.ended_at === null ? null : new Date(row.ended_at),
  };
}

/** @param rest what follows `from journey j` */
export async function readJourneys(ctx: Ctx, rest: RawBuilder<unknown>): Promise<Journey[]> {
  const found = await readRows<JourneyRow>(ctx, sql`select ${journeyColumns} from journey j ${rest}`);
  return found.map(toJourney);
}

export interface PendingEvent {
  seq: number;
  name: string;
  payload: unknown;
}

/** All that the next steps of a journey depend on, as of one moment. */
export interface JourneyState {
  id: string;
  flowId: string;
  definition: FlowDefinition;
  version: number;
  status: JourneyStatus;
  stepId: string;
  waiting: Waiting | null;
  wakeAt: Date | null;
  vars: Record<string, unknown>;
  start: unknown;
  event: unknown;
  steps: Record<string, unknown>;
  stepsRun: number;
  lookedAt: number;
  nextEvent: number;
  contactId: string | null;
  conversationId: string | null;
  startedAt: string;
  /** What the namespaces show of them. */
  contact: unknown;
  conversation: unknown;
  /** Those that no wait has taken or passed over, in order; not all of them when there are `mostEvents`. */
  events: PendingEvent[];
  /** By the database's clock. */
  now: Date;
}

/** Events that are looked at in one go. */
export const mostEvents = 200;

interface StateRow {
  id: string;
  flow_id: string;
  definition: FlowDefinition;
  version: number;
  status: JourneyStatus;
  step_id: string;
  waiting: Waiting | null;
  wake_at: number | null;
  vars: Record<string, unknown>;
  start: unknown;
  event: unknown;
  steps: Record<string, unknown>;
  steps_run: number;
  looked_at: number;
  next_event: number;
  contact_id: string | null;
  conversation_id: string | null;
  started_at: string;
  contact: unknown;
  conversation: unknown;
  events: PendingEvent[] | null;
  now: number;
}

/** What expressions and templates see of a contact and of a conversation; null where there is none. */
const contactFacts = sql`(
  select json_build_object('id', p.id, 'displayName', p.display_name, 'firstName', p.first_name, 'lastName', p.last_name,
    'avatarUrl', p.avatar_url, 'externalId', p.external_id, 'title', p.title, 'gender', p.gender, 'timezone', p.timezone,
    'locale', p.locale, 'organizationName', p.organization_name, 'address', p.address, 'metadata', p.metadata,
    'email', (select min(address) from contact_address where contact_id = p.id and kind = 'email'),
    'phone', (select min(address) from contact_address where contact_id = p.id and kind = 'phone'))
  from contact p where p.id = coalesce(j.contact_id, c.contact_id))`;
const conversationFacts = sql`(
  select json_build_object('id', c.id, 'sourceConversationId', c.source_conversation_id, 'channelId', c.channel_id,
    'sourceId', (select source_id from source where id = c.source), 'state', c.state, 'metadata', c.metadata,
    'createdAt', c.created_at) where c.id is not null)`;

/** @returns undefined for an unknown journey */
export async function readJourneyState(ctx: Ctx, id: string): Promise<JourneyState | undefined> {
  const [row] = await readRows<StateRow>(
    ctx,
    sql`select j.id::text, j.flow_id::text, v.definition, j.version, j.status, j.step_id, j.waiting,
          ${sql.raw(epochMs('j.wake_at'))} wake_at, j.vars, j.start, j.event, j.steps, j.steps_run, j.looked_at, j.next_event,
          j.contact_id::text, j.conversation_id::text, to_json(j.started_at) #>> '{}' started_at,
          ${contactFacts} contact, ${conversationFacts} conversation,
          (select json_agg(e order by e.seq) from (
            select seq, name, payload from journey_event
            where journey_id = j.id and consumed_at is null and seq > j.looked_at
              and (j.waiting is null or name = j.waiting #>> '{event,name}')
            order by seq limit ${sql.lit(mostEvents)}) e) events,
          ${sql.raw(epochMs('now()'))} now
        from journey j join flow_version v on v.flow_id = j.flow_id and v.number = j.flow_number
        left join conversation c on c.id = j.conversation_id
        where j.id = ${id}::uuid`,
  );
  if (!row) return undefined;
  return {
    id: row.id,
    flowId: row.flow_id,
    definition: row.definition,
    version: row.version,
    status: row.status,
    stepId: row.step_id,
    waiting: row.waiting,
    wakeAt: row.wake_at === null ? null : new Date(row.wake_at),
    vars: row.vars,
    start: row.start,
    event: row.event,
    steps: row.steps,
    stepsRun: row.steps_run,
    lookedAt: row.looked_at,
    nextEvent: row.next_event,
    contactId: row.contact_id,
    conversationId: row.conversation_id,
    startedAt: new Date(row.started_at).toISOString(),
    contact: row.contact,
    conversation: row.conversation,
    events: row.events ?? [],
    now: new Date(row.now),
  };
}

/** What belongs to the end of a journey: it is matched no more, and no wait will take what it was told. */
export async function closeJourney(tx: Tx, journeyId: string): Promise<void> {
  await rows(
    tx.em,
    sql`with void as (update journey_identifier set active = false where journey_id = ${journeyId}::uuid and active)
        update journey_event set consumed_at = now() where journey_id = ${journeyId}::uuid and consumed_at is null`,
  );
}

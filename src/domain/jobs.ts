import { type RawBuilder, sql } from 'kysely';
import { type Core, type Ctx, systemCtx } from './context.ts';
import { rows, runStatement } from './statement.ts';
import { type Tx, transaction } from './transaction.ts';

/** A lane as a worker holds it; the fence proves it. */
export interface Lane {
  kind: string;
  id: string;
  version: bigint;
  fence: bigint;
  /** This claim included. */
  attempts: number;
}

/** What the work of a claim came to; the worker writes it to the lane. */
export type LaneResult =
  /** The statement of its result has removed the row. */
  | { next: 'done' }
  /** Nothing is left: the row goes, unless it was woken meanwhile. */
  | { next: 'finish' }
  /** There is more: queue again behind the others. */
  | { next: 'release' }
  /** Come back at a time, with the attempts counted anew. */
  | { next: 'timer'; inMs: number }
  /** It failed for now. `attempts`: what has been used up for the item at the head. */
  | { next: 'retry'; inMs: number; attempts: number };

/** What the work of a lane may ask of its lease. */
export interface Lease {
  lane: Lane;
  /** Used up for the item at the head, this attempt included. */
  readonly attempts: number;
  /** Call it before each outside call: renews when little is left. False: somebody else may hold the lane, stop. */
  isHeld(forMs: number): Promise<boolean>;
  /** Last lock of a result's transaction. @throws LeaseLost rolls the transaction back */
  check(tx: Tx): Promise<void>;
  /** The same where the result ends its item: attempts count anew for the next one, in the row too. @throws LeaseLost */
  checkAndGoOn(tx: Tx): Promise<void>;
  /**
   * The same for a result that is one statement: parts of its `with` around one called `settled`, whose rows say that the
   * item has come to its end. Without further work the lane goes with it.
   *
   * @param isLeft SQL that tells whether there is more
   */
  ending(isLeft: RawBuilder<unknown>): Ending;
  /** After a statement of `ending` that settled its item and kept the lane. */
  goOn(): void;
}

/** `fenced` has a row while the lease holds, `gone` one when the lane is gone. */
export interface Ending {
  fenced: RawBuilder<unknown>;
  gone: RawBuilder<unknown>;
  kept: RawBuilder<unknown>;
}

export class LeaseLost extends Error {
  constructor(lane: Lane) {
    super(`the lease of lane ${lane.kind} ${lane.id} is lost`);
  }
}

export interface LaneKind {
  work(ctx: Ctx, lease: Lease): Promise<LaneResult>;
}

/** Lanes of kinds without a natural group. */
export const fixedGroup = '00000000-0000-0000-0000-000000000000';
const leaseMs = 60_000;
const leaseInterval = sql.raw(`interval '${leaseMs / 1000} s'`);

const kinds = new Map<string, LaneKind>();

/** Registers what works the lanes of a kind; main.ts calls it once for each kind. */
export function registerLaneKind(kind: string, work: LaneKind): void {
  kinds.set(kind, work);
}

export interface Wake {
  kind: string;
  id: string;
  /** Fairness key, such as the source. */
  group: string;
  /** From the database's now. Default: at once. */
  inMs?: number;
}

/**
 * Says in the transaction of the change that a subject has something to do. A back-off in progress stays as it is
 * (trap 2); lock the conversation before (trap 3).
 */
export async function wakeLanes(tx: Tx, wakes: Wake[]): Promise<void> {
  if (wakes.length === 0) return;
  const distinct = new Map(wakes.map((wake) => [`${wake.kind} ${wake.id}`, wake]));
  const sorted = [...distinct.keys()].sort().map((key) => distinct.get(key)!);
  await rows(
    tx.em,
    insertWakes(sql`select kind, id, lane_group, now() + make_interval(secs => in_ms / 1000)
        from unnest(${sorted.map((wake) => wake.kind)}::text[], ${sorted.map((wake) => wake.id)}::uuid[],
          ${sorted.map((wake) => wake.group)}::uuid[], ${sorted.map((wake) => wake.inMs ?? 0)}::float8[])
          w(kind, id, lane_group, in_ms)
        order by kind, id`),
  );
  tx.hints.add('lane');
}

/** The same as part of a larger statement. @param wakes a select of kind, id, group and time, ordered by kind and id */
export function insertWakes(wakes: RawBuilder<unknown>): RawBuilder<unknown> {
  return sql`insert into lane (kind, id, lane_group, due_at) ${wakes}
        on conflict (kind, id) do update set version = lane.version + 1,
          due_at = case when lane.attempts > 0 then lane.due_at else least(lane.due_at, excluded.due_at) end`;
}

/** Wakes a lane now and forgets its back-off: somebody asked to try again. */
export async function wakeLaneNow(tx: Tx, { kind, id, group }: Wake): Promise<void> {
  await rows(
    tx.em,
    sql`insert into lane (kind, id, lane_group, due_at) values (${kind}, ${id}::uuid, ${group}::uuid, now())
        on conflict (kind, id) do update set version = lane.version + 1, due_at = now(), attempts = 0`,
  );
  tx.hints.add('lane');
}

/** Makes the lanes of periodic work that sets its own next time; harmless when they are there. */
export async function ensurePeriodicLanes(core: Core, lanes: Wake[]): Promise<void> {
  await transaction(systemCtx(core, 'periodic-lanes'), async (tx) => {
    for (const lane of lanes) {
      await rows(
        tx.em,
        sql`insert into lane (kind, id, lane_group, due_at)
            values (${lane.kind}, ${lane.id}::uuid, ${lane.group}::uuid, now()) on conflict do nothing`,
      );
    }
  });
}

interface ClaimRow {
  kind: string | null;
  id: string;
  version: string;
  fence: string;
  attempts: number;
  next_in_ms: number | null;
  is_behind: boolean | null;
}

export interface Claim {
  lanes: Lane[];
  /** When nothing was claimed: ms until the next lane falls due; undefined when none is waiting for its time. */
  nextInMs?: number;
  /** When nothing was claimed: due lanes are there, but their groups are at their limit. */
  isBehind: boolean;
}

/**
 * Takes up to `limit` due lanes, at most 8 leased of a group over all processes, round robin over groups. `bounded`
 * leaves out what is long due, so that the leftovers of a long snapshot at the head of the index are not read each
 * time; one unbounded claim a second finds expired leases and late commits. While groups are behind nobody may ask for
 * a bounded one: it would neither take what waits longest nor see what is leased behind that.
 *
 * An empty claim says by the same snapshot when the next lane is due: asked afterwards, one that fell due in between
 * would be overlooked.
 */
export async function claimLanes(core: Core, limit: number, bounded: boolean): Promise<Claim> {
  const recent = bounded ? sql`and due_at > now() - interval '1 s'` : sql``;
  const free = sql`due_at <= now() ${recent} and (leased_until is null or leased_until <= now())`;
  const found = await runStatement(
    core,
    sql<ClaimRow>`with recursive s(lane_group) as (
          (select lane_group from lane order by lane_group limit 1)
          union all
          select (select l.lane_group from lane l where l.lane_group > s.lane_group order by l.lane_group limit 1)
          from s where s.lane_group is not null),
        pick as (
          select p.kind, p.id, p.due_at, p.n from s
          cross join lateral (
            select count(*) filter (where h.leased_until > now()) busy from (
              select leased_until from lane where lane_group = s.lane_group and due_at <= now()
              order by due_at limit 32) h) b
          cross join lateral (
            select y.*, b.busy + row_number() over (order by due_at) n from (
              select kind, id, due_at from lane where lane_group = s.lane_group and ${free}
              order by due_at limit greatest(0, 8 - b.busy)) y) p
          where s.lane_group is not null order by p.n, p.due_at limit ${sql.lit(limit * 2)}),
        got as (
          select g.kind, g.id from (select * from pick order by n, due_at) pick
          cross join lateral (
            select l.kind, l.id from lane l where l.kind = pick.kind and l.id = pick.id
              and l.due_at <= now() and (l.leased_until is null or l.leased_until <= now())
            for update of l skip locked) g
          limit ${sql.lit(limit)}),
        taken as (
          update lane set leased_until = now() + ${leaseInterval}, fence = nextval('lane_fence'),
            attempts = lane.attempts + 1
          from got where lane.kind = got.kind and lane.id = got.id
          returning lane.kind, lane.id, lane.version::text, lane.fence::text, lane.attempts)
        select taken.*, null::float8 next_in_ms, null::boolean is_behind from taken
        union all
        select null, null, null, null, null,
          (select (extract(epoch from min(f.due_at) - now()) * 1000)::float8 from s cross join lateral (
            select due_at from lane where lane_group = s.lane_group and due_at > now() order by due_at limit 1) f),
          exists (select 1 from s cross join lateral (
            select 1 from lane where lane_group = s.lane_group and ${free} limit 1) w)
        where not exists (select 1 from taken)`,
  );
  const [first] = found;
  if (first?.kind === null) {
    return { lanes: [], nextInMs: first.next_in_ms ?? undefined, isBehind: first.is_behind ?? false };
  }
  const lanes = found.map(({ kind, id, version, fence, attempts }) => ({
    kind: kind!,
    id,
    version: BigInt(version),
    fence: BigInt(fence),
    attempts,
  }));
  return { lanes, isBehind: false };
}

/**
 * Works one claimed lane with the kind registered for it and writes what came of it. Never throws for the work's own
 * faults: those become a retry, and the lane after them goes on.
 *
 * @param claimedAt monotonic ms (performance.now) taken before the claim was sent
 */
export async function workLane(core: Core, lane: Lane, claimedAt: number): Promise<void> {
  const ctx = systemCtx(core, `lane-${lane.kind}-${lane.fence}`);
  const kind = kinds.get(lane.kind);
  const lease = leaseOf(core, lane, claimedAt);
  let result: LaneResult;
  try {
    if (!kind) throw new Error(`no work is registered for lanes of kind ${lane.kind}`);
    result = await kind.work(ctx, lease);
  } catch (error) {
    if (error instanceof LeaseLost) {
      core.log.warn({ kind: lane.kind, lane: lane.id }, 'lane lost its lease');
      return;
    }
    core.log.error({ kind: lane.kind, lane: lane.id, attempts: lease.attempts, err: error }, 'lane work failed');
    result = {
      next: 'retry',
      inMs: Math.min(60_000, 1_000 * 2 ** Math.min(lease.attempts, 6)) * core.settings.retryTimeScale,
      attempts: lease.attempts,
    };
  }
  await settle(core, lane, result);
}

function leaseOf(core: Core, lane: Lane, claimedAt: number): Lease {
  const held = sql`kind = ${lane.kind} and id = ${lane.id}::uuid and fence = ${String(lane.fence)}::bigint`;
  const expectHeld = (found: unknown[]) => {
    if (found.length === 0) throw new LeaseLost(lane);
  };
  let endsAt = claimedAt + leaseMs;
  let attempts = lane.attempts;
  return {
    lane,
    get attempts() {
      return attempts;
    },
    async isHeld(forMs) {
      if (endsAt - performance.now() > forMs + 5_000) return true;
      const askedAt = performance.now();
      const renewed = await rows(
        core.em.fork(),
        sql`update lane set leased_until = now() + ${leaseInterval} where ${held} returning 1`,
      );
      // Once lost it stays lost: whoever asks again must not take the time of this question for a lease.
      endsAt = renewed.length > 0 ? askedAt + leaseMs : Number.NEGATIVE_INFINITY;
      return renewed.length > 0;
    },
    async check(tx) {
      expectHeld(await rows(tx.em, sql`select 1 from lane where ${held} for no key update`));
    },
    async checkAndGoOn(tx) {
      // 0 stays 0: somebody asked meanwhile to try again at once.
      expectHeld(await rows(tx.em, sql`update lane set attempts = least(attempts, 1) where ${held} returning 1`));
      attempts = 1;
    },
    ending: (isLeft) => ({
      fenced: sql`select 1 from lane where ${held} for no key update`,
      gone: sql`delete from lane where ${held} and version = ${String(lane.version)}::bigint
          and exists (select from settled) and not (${isLeft}) returning 1`,
      // 0 stays 0: somebody asked meanwhile to try again at once.
      kept: sql`update lane set attempts = least(attempts, 1)
          where ${held} and exists (select from settled) and not exists (select from gone)`,
    }),
    goOn() {
      attempts = 1;
    },
  };
}

async function settle(core: Core, lane: Lane, result: LaneResult): Promise<void> {
  if (result.next === 'done') return;
  const em = core.em.fork();
  const held = sql`kind = ${lane.kind} and id = ${lane.id}::uuid and fence = ${String(lane.fence)}::bigint`;
  const version = sql`${String(lane.version)}::bigint`;
  const release = () =>
    rows(em, sql`update lane set leased_until = null, attempts = 0, due_at = now() where ${held} returning 1`);
  switch (result.next) {
    case 'finish': {
      const gone = await rows(em, sql`delete from lane where ${held} and version = ${version} returning 1`);
      if (gone.length === 0) await release().then(() => core.wakeups.hint('lane'));
      return;
    }
    case 'release':
      await release();
      core.wakeups.hint('lane');
      return;
    case 'timer':
      await rows(
        em,
        sql`update lane set leased_until = null, attempts = 0, due_at = case when version = ${version}
              then now() + make_interval(secs => ${result.inMs / 1000}::float8) else now() end where ${held}`,
      );
      core.wakeups.hint('lane');
      return;
    case 'retry':
      // A claimed lane has at least one attempt: none means that somebody asked meanwhile to try again at once.
      await rows(
        em,
        sql`update lane set leased_until = null, attempts = least(attempts, ${result.attempts}::int),
              due_at = case when attempts = 0 then now() else now() + make_interval(secs => ${result.inMs / 1000}::float8) end
            where ${held}`,
      );
      core.wakeups.hint('lane');
  }
}

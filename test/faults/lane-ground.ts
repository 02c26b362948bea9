import { randomUUID } from 'node:crypto';
import { sql } from 'kysely';
import { type Core, type Ctx, systemCtx } from '../../src/domain/context.ts';
import {
  claimLanes,
  type Lane,
  type LaneResult,
  type Lease,
  LeaseLost,
  registerLaneKind,
  type Wake,
  wakeLanes,
  workLane,
} from '../../src/domain/jobs.ts';
import { rows } from '../../src/domain/statement.ts';
import { type Tx, transaction } from '../../src/domain/transaction.ts';

export interface LaneRow {
  version: number;
  attempts: number;
  isLeased: boolean;
  /** Seconds from the database's now. */
  dueInS: number;
}

/** The lanes of a database whose gateway runs no worker: claimed and worked by the test alone. */
export class LaneGround {
  readonly core: Core;
  #kinds = 0;

  constructor(core: Core) {
    this.core = core;
  }

  get ctx(): Ctx {
    return systemCtx(this.core, 'lane-test');
  }

  /** A kind of its own. Without `work` nothing is to be done. */
  kind(work: (ctx: Ctx, lease: Lease) => Promise<LaneResult> = async () => ({ next: 'finish' })): string {
    this.#kinds += 1;
    const kind = `test-${process.pid}-${this.#kinds}`;
    registerLaneKind(kind, { work });
    return kind;
  }

  wake(...wakes: Wake[]): Promise<void> {
    return transaction(this.ctx, (tx) => wakeLanes(tx, wakes));
  }

  /** Wakes a lane in a group of its own. */
  async lane(kind: string, more: Partial<Wake> = {}): Promise<Wake> {
    const wake = { kind, id: randomUUID(), group: randomUUID(), ...more };
    await this.wake(wake);
    return wake;
  }

  async claim(limit = 64): Promise<Lane[]> {
    const { lanes } = await claimLanes(this.core, limit, false);
    return lanes;
  }

  /** Claims this lane, and none else. */
  async claimOne({ id }: { id: string }): Promise<Lane> {
    const claimed = await this.claim();
    const lane = claimed.find((one) => one.id === id);
    if (!lane || claimed.length > 1) throw new Error(`claimed ${JSON.stringify(claimed.map((one) => one.kind))}`);
    return lane;
  }

  work(lane: Lane): Promise<void> {
    return workLane(this.core, lane, performance.now());
  }

  async row({ kind, id }: { kind: string; id: string }): Promise<LaneRow | undefined> {
    const [row] = await rows<LaneRow>(
      this.core.em.fork(),
      sql`select version::int, attempts, coalesce(leased_until > now(), false) "isLeased",
            extract(epoch from due_at - now())::float8 "dueInS"
          from lane where kind = ${kind} and id = ${id}::uuid`,
    );
    return row;
  }

  /** As if the 60 s of a lease were over: its holder is dead, or slow. */
  async expire({ id }: { id: string }): Promise<void> {
    await rows(this.core.em.fork(), sql`update lane set leased_until = now() where id = ${id}::uuid`);
  }

  /** As if the wait of a lane were over. */
  async fallDue({ id }: { id: string }): Promise<void> {
    await rows(this.core.em.fork(), sql`update lane set due_at = now() where id = ${id}::uuid`);
  }

  async clear(): Promise<void> {
    await rows(this.core.em.fork(), sql`delete from lane`);
  }

  query<Row>(statement: ReturnType<typeof sql<Row>>, em = this.core.em.fork()): Promise<Row[]> {
    return rows<Row>(em, statement);
  }
}

/** Work items in rows of their own, as the pending messages of a conversation are. Results have no unique key. */
export async function makeItems(ground: LaneGround): Promise<void> {
  await ground.query(sql`create table work_item (lane uuid, n int, done boolean not null default false)`);
  await ground.query(
    sql`create table work_result (at bigint generated always as identity, lane uuid, n int, fence bigint)`,
  );
}

export async function addItem(tx: Tx, lane: Wake, n: number): Promise<void> {
  await rows(tx.em, sql`insert into work_item (lane, n) values (${lane.id}::uuid, ${n}::int)`);
  await wakeLanes(tx, [lane]);
}

export async function nextItem(ctx: Ctx, id: string): Promise<number | undefined> {
  const [item] = await rows<{ n: number }>(
    ctx.em.fork(),
    sql`select n from work_item where lane = ${id}::uuid and not done order by n limit 1`,
  );
  return item?.n;
}

/** Writes a result as the delivery does: the fence is the last lock. */
export async function writeItem(ctx: Ctx, lease: Lease, n: number, hasFenceCheck = true): Promise<void> {
  const { id, fence } = lease.lane;
  await transaction(ctx, async (tx) => {
    await rows(tx.em, sql`update work_item set done = true where lane = ${id}::uuid and n = ${n}::int`);
    await rows(
      tx.em,
      sql`insert into work_result (lane, n, fence) values (${id}::uuid, ${n}::int, ${String(fence)}::bigint)`,
    );
    if (hasFenceCheck) await lease.check(tx);
  });
}

/**
 * `finish` as somebody would write it who forgot that a wake may have come meanwhile. Ends the work in such a way that
 * the real one does not run.
 */
export async function finishWithoutVersion(ctx: Ctx, { lane }: Lease): Promise<never> {
  await rows(
    ctx.em.fork(),
    sql`delete from lane where kind = ${lane.kind} and id = ${lane.id}::uuid and fence = ${String(lane.fence)}::bigint`,
  );
  throw new LeaseLost(lane);
}

export interface StressForm {
  lanes: number;
  groups: number;
  /** Of all lanes together. */
  items: number;
  producers: number;
  workers: number;
  /** Part of the items whose first try fails. */
  failures: number;
  finish: 'with version' | 'without version';
}

export interface StressResult {
  lost: number;
  doubled: number;
  outOfOrder: number;
  mostLeased: number;
  perSecond: number;
}

/** Producers and workers side by side until nothing is left to be claimed. */
export async function stressLanes(ground: LaneGround, form: StressForm): Promise<StressResult> {
  const groups = Array.from({ length: form.groups }, () => randomUUID());
  const failed = new Set<string>();
  const kind = ground.kind(async (ctx, lease) => {
    for (let done = 0; done < 10; done += 1) {
      const n = await nextItem(ctx, lease.lane.id);
      if (n === undefined) {
        return form.finish === 'with version' ? { next: 'finish' } : finishWithoutVersion(ctx, lease);
      }
      const key = `${lease.lane.id} ${n}`;
      if (!failed.has(key) && Math.random() < form.failures) {
        failed.add(key);
        return { next: 'retry', inMs: 30, attempts: done > 0 ? 1 : lease.lane.attempts };
      }
      await writeItem(ctx, lease, n);
    }
    return { next: 'release' };
  });
  const lanes = Array.from({ length: form.lanes }, (_, index): Wake => {
    return { kind, id: randomUUID(), group: groups[index % groups.length]! };
  });
  const begunAt = performance.now();
  let next = 0;
  let isProducing = true;
  let mostLeased = 0;
  const produce = async () => {
    while (next < form.items) {
      const n = next;
      next += 1;
      await transaction(ground.ctx, (tx) => addItem(tx, lanes[n % lanes.length]!, n));
    }
  };
  const work = async () => {
    for (;;) {
      const claimed = await ground.claim(8);
      if (claimed.length > 0) {
        const [row] = await ground.query<{ most: number }>(
          sql`select coalesce(max(n), 0)::int most from (
                select count(*) n from lane where kind = ${kind} and leased_until > now() group by lane_group) g`,
        );
        mostLeased = Math.max(mostLeased, row?.most ?? 0);
      }
      await Promise.all(claimed.map((lane) => ground.work(lane)));
      if (claimed.length > 0 || isProducing) continue;
      const left = await ground.query(sql`select from lane where kind = ${kind}`);
      if (left.length === 0) return;
    }
  };
  const working = Promise.all(Array.from({ length: form.workers }, work));
  await Promise.all(Array.from({ length: form.producers }, produce));
  isProducing = false;
  await working;
  const seconds = (performance.now() - begunAt) / 1_000;
  const [counted] = await ground.query<Omit<StressResult, 'mostLeased' | 'perSecond'>>(
    sql`with results as (select r.*, lag(n) over (partition by lane order by at) before from work_result r
          where lane = any(${lanes.map(({ id }) => id)}::uuid[]))
        select (select count(*)::int from work_item where not done and lane = any(${lanes.map(({ id }) => id)}::uuid[])) lost,
          (count(*) - count(distinct (lane, n)))::int doubled, (count(*) filter (where n < before))::int "outOfOrder"
        from results`,
  );
  return { ...counted!, mostLeased, perSecond: Math.round(form.items / seconds) };
}

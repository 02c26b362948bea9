import { sql } from 'kysely';
import { allow } from './access.ts';
import type { Core, Ctx, LegacyCalls, LegacyRow, Principal } from './context.ts';
import { InvalidInput } from './errors.ts';
import { epochMs, plainArray, rows, runStatement, textArray } from './statement.ts';

/** For commands, which nobody calls. */
export const noLegacyCalls: LegacyCalls = {
  note: () => undefined,
  flush: async () => undefined,
  stop: async () => undefined,
};

const flushMs = 10_000;
/** Rows by callers; past it what was counted is written at once. */
const mostCounts = 5_000;

interface Count extends LegacyRow {
  caller: string;
  calls: number;
  lastAt: Date;
}

export function startLegacyCalls(core: Pick<Core, 'log' | 'now' | 'sql'>): LegacyCalls {
  let counts = new Map<string, Count>();
  let writing: Promise<void> = Promise.resolve();

  function add(count: Count): void {
    const key = `${count.name} ${count.caller}`;
    const known = counts.get(key);
    if (!known) counts.set(key, count);
    else {
      known.calls += count.calls;
      known.lastAt = count.lastAt;
    }
  }

  async function write(): Promise<void> {
    const taken = [...counts.values()];
    counts = new Map();
    if (taken.length === 0) return;
    try {
      await runStatement(core, insert(taken));
    } catch (error) {
      core.log.warn({ err: error }, 'the counts of legacy calls could not be written, they are tried again');
      // Not without end while the database is away.
      if (counts.size + taken.length <= mostCounts) for (const count of taken) add(count);
    }
  }

  const flush = () => {
    writing = writing.then(write);
    return writing;
  };
  const timer = setInterval(() => void flush(), flushMs);
  timer.unref();
  return {
    note(row, principal) {
      add({ ...row, caller: callerOf(principal), calls: 1, lastAt: core.now() });
      if (counts.size >= mostCounts) void flush();
    },
    flush,
    async stop() {
      clearInterval(timer);
      await flush();
    },
  };
}

function callerOf(principal: Principal): string {
  if (principal.kind === 'user') return `user ${principal.userId}`;
  if (principal.kind === 'apiKey') return `key ${principal.keyId}`;
  return principal.kind === 'source' ? `source ${principal.sourceName}` : 'anonymous';
}

// Sorted, so that two processes never wait for each other.
function insert(counts: Count[]) {
  const sorted = counts.sort((a, b) => (`${a.name} ${a.caller}` < `${b.name} ${b.caller}` ? -1 : 1));
  return sql`insert into legacy_call as c (row_name, field, caller, day, calls, last_at)
      select name, field, caller, (last_at at time zone 'UTC')::date, calls, last_at
      from unnest(${textArray(sorted.map(({ name }) => name))}::text[], ${textArray(sorted.map(({ field }) => field))}::text[],
        ${textArray(sorted.map(({ caller }) => caller))}::text[], ${plainArray(sorted.map(({ calls }) => calls))}::bigint[],
        ${plainArray(sorted.map(({ lastAt }) => lastAt.toISOString()))}::timestamptz[]) n(name, field, caller, calls, last_at)
      on conflict (day, row_name, caller) do update
        set calls = c.calls + excluded.calls, last_at = greatest(c.last_at, excluded.last_at)`;
}

/** Who made a call how often. */
export interface LegacyCallsOf extends LegacyRow {
  callerKind: 'USER' | 'SOURCE' | 'KEY' | 'ANONYMOUS';
  /** E-mail address, name of the source or of the key; null where it is not known any more. */
  callerName: string | null;
  calls: number;
  lastAt: Date;
}

const mostDays = 366;

/** Which legacy calls were made by whom in the last days, the most frequent first. What runs now is counted within 10 s. */
export async function listLegacyCalls(ctx: Ctx, { days }: { days: number }): Promise<LegacyCallsOf[]> {
  allow(ctx, 'legacyCalls');
  if (days < 1 || days > mostDays) throw new InvalidInput('days', `must be 1 to ${mostDays}`);
  await ctx.core.legacyCalls.flush();
  const found = await rows<{
    row_name: string;
    field: string;
    kind: LegacyCallsOf['callerKind'];
    who: string | null;
    calls: number;
    last_at: number;
  }>(
    ctx.em,
    sql`select row_name, max(field) field, upper(split_part(caller, ' ', 1)) kind,
          case when caller like 'user %' then max(u.email) when caller like 'key %' then max(k.name) else nullif(substr(caller, strpos(caller, ' ') + 1), caller) end who,
          sum(calls)::float8 calls, ${sql.raw(epochMs('max(last_at)'))} last_at
        from legacy_call left join user_account u on caller = 'user ' || u.id
          left join api_key k on caller = 'key ' || k.id
        where day > (now() at time zone 'UTC')::date - ${days}::int
        group by row_name, caller order by sum(calls) desc, row_name, caller limit 1000`,
  );
  return found.map((row) => ({
    name: row.row_name,
    field: row.field,
    callerKind: row.kind,
    callerName: row.who,
    calls: row.calls,
    lastAt: new Date(row.last_at),
  }));
}

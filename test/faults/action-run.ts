import { expect } from '@jest/globals';
import pg from 'pg';
import type { ActionEndpoint, Route } from '../support/action-endpoint.ts';
import { until } from '../support/until.ts';
import { makePlace, sendTo, type Tested } from './action-ground.ts';
import { type ActionMode, type BadPeers, urlOf } from './action-modes.ts';
import { tellFigures } from './figures.ts';
import { percentile } from './webhook-load.ts';

/** What became of the message of a mode. */
export interface ModeResult {
  mode: ActionMode;
  messageId: string;
  route: Route;
  state: string;
  failure: { code: string; message: string; retryable: boolean; nextAttemptAt: string | null };
  attempts: { error: string; durationMs: number }[];
  /** Each attempt changes the message once, the last one for good. */
  events: number;
  reachable: boolean;
}

export interface ModesForm {
  modes: ActionMode[];
  endpoint: ActionEndpoint;
  peers: BadPeers;
  /** Is told each address before anything is sent there. */
  byUrl?: Map<string, ActionMode>;
}

/** Sends one message to a source of each mode, all at once, and waits until none is pending. */
export async function runModes(
  tested: Tested,
  { modes, endpoint, peers, byUrl }: ModesForm,
  timeoutMs: number,
): Promise<ModeResult[]> {
  const sent: { mode: ActionMode; route: Route; messageId: string; sourceId: string }[] = [];
  for (const mode of modes) {
    const { route, url } = urlOf(mode, endpoint, peers);
    byUrl?.set(url, mode);
    const { sourceId, conversations } = await makePlace(tested, url);
    sent.push({ mode, route, sourceId, messageId: await sendTo(tested, conversations[0]!) });
  }
  const client = new pg.Client({ connectionString: tested.databaseUrl });
  await client.connect();
  try {
    await until(async () => {
      const { rows } = await client.query(`select 1 from message where delivery_state = 'PENDING' limit 1`);
      return rows.length === 0;
    }, timeoutMs);
    const { rows } = await client.query(
      `select m.id::text "messageId", m.delivery_state state, m.failure, s.reachable,
         (select coalesce(jsonb_agg(jsonb_build_object('error', error, 'durationMs', duration_ms) order by attempt), '[]')
          from delivery_attempt d where d.message_id = m.id) attempts,
         (select count(*)::int from event e where e.kind = 'message.updated' and e.payload->>'messageId' = m.id::text) events
       from message m join source s on s.id = m.source where m.id = any($1::uuid[])`,
      [sent.map(({ messageId }) => messageId)],
    );
    const found = new Map(rows.map((row) => [row.messageId, row]));
    return sent.map((one) => ({ ...one, ...found.get(one.messageId) }));
  } finally {
    await client.end();
  }
}

const attemptsUntilFailed = 6;

/** The promises of one mode. `longestMs`: of one attempt. */
export function expectAsPromised(result: ModeResult, longestMs: number): void {
  const { mode, route, state, failure, attempts, events, reachable } = result;
  const isRetried = mode.outcome === 'RETRIED';
  const said = { mode: mode.name, state, code: failure?.code, retryable: failure?.retryable };
  expect(said).toEqual({ mode: mode.name, state: 'FAILED', code: mode.code, retryable: isRetried });
  if (mode.text) expect(failure.message).toBe(mode.text);
  const count = isRetried ? attemptsUntilFailed : 1;
  const seen = { mode: mode.name, attempts: attempts.length, events, reachable };
  expect(seen).toEqual({ mode: mode.name, attempts: count, events: count, reachable: !isRetried });
  // A call over a connection that was kept and ends goes out once more within its attempt.
  if (mode.answer) expect(new Set(route.calls.map((call) => call.headers['webhook-id'])).size).toBe(1);
  if (mode.answer && mode.code !== 'reset') expect(route.calls).toHaveLength(count);
  for (const { error, durationMs } of attempts) {
    expect(Buffer.byteLength(error)).toBeLessThanOrEqual(1_024);
    expect(durationMs).toBeLessThanOrEqual(longestMs);
  }
  expect(Buffer.byteLength(failure.message)).toBeLessThanOrEqual(1_024);
}

/** One line of figures over all modes. */
export function tellModes(name: string, results: ModeResult[], rss: number, more = ''): void {
  const durations = results
    .flatMap(({ attempts }) => attempts.map(({ durationMs }) => durationMs))
    .sort((a, b) => a - b);
  const count = (isSo: (result: ModeResult) => boolean) => results.filter(isSo).length;
  const figures = {
    lost: count(({ state }) => state === undefined),
    dup: count(({ events, attempts }) => events > attempts.length),
    phantom: count(({ route, messageId }) => route.calls.some((call) => call.messageId !== messageId)),
    stuck: count(({ state }) => state === 'PENDING'),
    p99: percentile(durations, 0.99),
    rss,
  };
  tellFigures(
    name,
    figures,
    `modes=${results.length} attempts=${durations.length} longest=${durations.at(-1)}ms ${more}`,
  );
}

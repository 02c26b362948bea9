import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { startActionEndpoint, success } from '../support/action-endpoint.ts';
import { createTestDatabase } from '../support/database.ts';
import { until } from '../support/until.ts';
import { onConnection } from './feed-ground.ts';
import { GatewayProcess, prepareGround } from './gateway-process.ts';
import { type LoadRun, type LoadRunForm, type LoadRunResult, runUnderLoad } from './load-run.ts';

const places = ['x86_64-linux-gnu', 'aarch64-linux-gnu'].map((name) => `/usr/lib/${name}/faketime/libfaketime.so.1`);
/** The library that lies to a process about the time; undefined where it is not installed. */
export const fakeTimeLibrary = places.find(existsSync);

/** The clock of one process, apart from that of its database. */
class Clock {
  readonly #folder = mkdtempSync(join(tmpdir(), 'parley-clock-'));
  readonly #file = join(this.#folder, 'offset');

  constructor(seconds: number) {
    this.set(seconds);
  }

  /** How far it is from the true time; heard of within a second. */
  set(seconds: number): void {
    writeFileSync(this.#file, `${seconds < 0 ? '' : '+'}${seconds}`);
  }

  get env(): Record<string, string> {
    return {
      LD_PRELOAD: fakeTimeLibrary ?? '',
      FAKETIME_TIMESTAMP_FILE: this.#file,
      FAKETIME_CACHE_DURATION: '1',
      FAKETIME_DONT_FAKE_MONOTONIC: '1',
      NO_FAKE_STAT: '1',
    };
  }

  remove(): void {
    rmSync(this.#folder, { recursive: true });
  }
}

export interface ClockForm extends Pick<LoadRunForm, 'load'> {
  /** Of the gateway's clock, from its start on. */
  startsAt: number;
  /** And from the middle of the run on, with deliveries under way. */
  stepsTo: number;
  sends: number;
  acks: number;
}

export interface ClockResult extends LoadRunResult {
  /** Of each message that was refused once: calls, and the time between the first two. */
  deliveries: { calls: number; gapMs: number }[];
  undelivered: number;
}

/** Of the 5 s until the first retry. */
export const retryScale = 0.4;

/** F7: the clock of the gateway is not that of the database, and steps while deliveries wait for their retry. */
export async function shiftClock(form: ClockForm): Promise<ClockResult> {
  const database = await createTestDatabase();
  const endpoint = await startActionEndpoint();
  const calls = new Map<string, number[]>();
  const route = endpoint.route(({ messageId }) => {
    const times = [...(calls.get(messageId) ?? []), performance.now()];
    calls.set(messageId, times);
    return times.length === 1 ? { status: 500 } : success();
  });
  const clock = new Clock(form.startsAt);
  const run: LoadRunForm = {
    name: `F7 clock at ${form.startsAt} s, then ${form.stepsTo} s`,
    databaseUrl: database.url,
    load: form.load,
    env: { ...clock.env, OUTBOUND_ALLOW: endpoint.hostPort, RETRY_TIME_SCALE: String(retryScale) },
  };
  let undelivered = Number.NaN;
  const result = await runUnderLoad(run, async (running) => {
    await running.acked(form.acks);
    await sendSome(running, database.url, route.url, form.sends);
    await until(async () => calls.size === form.sends);
    clock.set(form.stepsTo);
    await running.acked(form.acks);
    await sendSome(running, database.url, route.url, form.sends);
    const pending = () => pendingMessages(database.url);
    await until(async () => (await pending()) === 0, 30_000).catch(() => undefined);
    undelivered = await pending();
    // A retry too many would come with the next of the schedule at the latest.
    await running.acked(form.acks);
    return `retried=${calls.size} undelivered=${undelivered}`;
  });
  clock.remove();
  await database.drop();
  const deliveries = [...calls.values()].map((times) => ({
    calls: times.length,
    gapMs: (times[1] ?? Number.NaN) - times[0]!,
  }));
  return { ...result, deliveries, undelivered };
}

async function sendSome(
  { gateway, ground }: LoadRun,
  databaseUrl: string,
  actionEndpoint: string,
  count: number,
): Promise<void> {
  const target = { source_id: ground.source.sourceId, action_endpoint: actionEndpoint };
  await gateway.post('sources.update', target, ground.adminToken);
  const conversations = await onConnection(databaseUrl, async (client) => {
    const { rows } = await client.query<{ id: string }>('select id from conversation limit $1', [count]);
    return rows;
  });
  for (const { id } of conversations) {
    const { status } = await gateway.post(
      'messages.send',
      { conversation_id: id, message: { text: 'by the clock' } },
      ground.adminToken,
    );
    if (status !== 200) throw new Error(`messages.send answered ${status}`);
  }
}

async function pendingMessages(databaseUrl: string): Promise<number> {
  return onConnection(databaseUrl, async (client) => {
    const { rowCount } = await client.query(`select from message where delivery_state = 'PENDING'`);
    return rowCount ?? 0;
  });
}

/** What a token that was made at the true time is answered with when the clock of the gateway is so far away. */
export async function statusesAt(offsets: number[]): Promise<number[]> {
  const database = await createTestDatabase();
  const clock = new Clock(0);
  const gateway = await GatewayProcess.start({ databaseUrl: database.url, env: clock.env });
  const { adminToken } = await prepareGround(gateway);
  const statuses: number[] = [];
  for (const offset of offsets) {
    clock.set(offset);
    await gateway.terminate();
    await gateway.start();
    const { status } = await gateway.post('conversations.list', {}, adminToken);
    statuses.push(status);
  }
  await gateway.kill();
  clock.remove();
  await database.drop();
  return statuses;
}

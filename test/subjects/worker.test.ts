import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import pg from 'pg';
import { registerLaneKind } from '../../src/domain/jobs.ts';
import { type App, startApp } from '../support/app.ts';
import { until } from '../support/until.ts';

let app: App;
let operator: pg.Client;
beforeAll(async () => {
  app = await startApp({ settings: { role: 'worker', isPortGiven: false } });
  operator = new pg.Client({ connectionString: app.database.url });
  await operator.connect();
});
beforeEach(() => {
  app.logged.length = 0;
});

const logs = (words: string) => app.logged.some((line) => line.includes(words));

/** Lanes that are due, in as many groups as it takes for all to be worked at once. */
async function addLanes(kind: string, count: number): Promise<void> {
  for (let at = 0; at < count; at += 8) {
    await operator.query(
      `insert into lane (kind, id, lane_group, due_at) select $1, gen_random_uuid(), $2, now() from generate_series(1, $3)`,
      [kind, randomUUID(), Math.min(8, count - at)],
    );
  }
}

const lanesLeft = async (kind: string) =>
  Number((await operator.query('select count(*) n from lane where kind = $1', [kind])).rows[0].n);

describe('a worker', () => {
  afterAll(() => operator.end());

  it('serves nothing where no port is given', () => {
    expect(app.url).toBe('');
  });

  it('works 256 lanes that wait for others at once and no more, and those behind them after that', async () => {
    let running = 0;
    let most = 0;
    const gate = Promise.withResolvers<void>();
    registerLaneKind('gated', {
      async work() {
        running += 1;
        most = Math.max(most, running);
        await gate.promise;
        running -= 1;
        return { next: 'finish' };
      },
    });
    await addLanes('gated', 270);
    await until(async () => running === 256);
    // The claim after the last one would have come by now: a lane that fell due since waits for its turn too.
    await addLanes('gated', 1);
    await until(async () => (await operator.query('select 1 from lane where leased_until is null')).rowCount! >= 1);
    gate.resolve();
    await until(async () => (await lanesLeft('gated')) === 0);
    expect(most).toBe(256);
  });

  it('tells once that it does not reach its lanes, and goes on when it does', async () => {
    await operator.query('alter table lane rename to lane_away');
    await until(async () => logs('the worker does not reach the database'));
    await operator.query('alter table lane_away rename to lane');
    await until(async () => logs('the worker reaches the database again'));
    expect(app.logged.filter((line) => line.includes('does not reach'))).toHaveLength(1);
  });

  it('leaves a lane whose result could not be written to its lease, and works it again', async () => {
    let works = 0;
    registerLaneKind('result-lost', {
      async work() {
        works += 1;
        if (works === 1) await operator.query('alter table lane rename to lane_away');
        return { next: 'finish' };
      },
    });
    await addLanes('result-lost', 1);
    await until(async () => logs('the result of a lane could not be written'));
    await operator.query('alter table lane_away rename to lane');
    expect(await lanesLeft('result-lost')).toBe(1);
    await operator.query(`update lane set leased_until = now() where kind = 'result-lost'`);
    await until(async () => (await lanesLeft('result-lost')) === 0);
    expect(works).toBe(2);
  });
});

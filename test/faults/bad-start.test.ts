import { type AddressInfo, createServer } from 'node:net';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { createTestDatabase, type TestDatabase } from '../support/database.ts';
import { onConnection } from './feed-ground.ts';
import { freePort, GatewayProcess } from './gateway-process.ts';

let database: TestDatabase;
beforeAll(async () => {
  database = await createTestDatabase();
});
afterAll(() => database.drop());

describe('a start that cannot go well (F20)', () => {
  const canary = 'canary-that-must-never-be-printed';
  const production = {
    NODE_ENV: 'production',
    JWT_SECRET: `${canary}-jwt`,
    SECRETS_KEY: `${canary}-key`,
    DATABASE_URL: `postgres://parley:${canary}@127.0.0.1:1/parley`,
  };

  async function badStart(env: Record<string, string>): Promise<{ lines: string[]; code: number | null; ms: number }> {
    const gateway = await GatewayProcess.prepare({ env: { LOG_LEVEL: 'error', ...env } });
    const begunAt = performance.now();
    gateway.launch();
    const { code } = await gateway.ended();
    const ms = performance.now() - begunAt;
    return { lines: gateway.output.trimEnd().split('\n'), code, ms };
  }

  // One line for each setting; above them there may be one that says what kind of list this is.
  function expectRefusal({ lines, code, ms }: Awaited<ReturnType<typeof badStart>>, ...names: string[]): void {
    const output = lines.join('\n');
    expect(output).not.toContain(canary);
    expect(output).not.toMatch(/^\s+at /m);
    for (const name of names) expect(lines.filter((line) => new RegExp(`^ *${name}\\b`).test(line))).toHaveLength(1);
    expect(lines.length).toBeLessThanOrEqual(names.length + 1);
    expect(code).toBeGreaterThan(0);
    // 5 s is for a machine of its own: here other tests run beside it.
    expect(ms).toBeLessThan(15_000);
  }

  it.each<[string, string[], Record<string, string>]>([
    [
      'when production is not told its secrets and its database',
      ['JWT_SECRET', 'SECRETS_KEY', 'DATABASE_URL'],
      { NODE_ENV: 'production', JWT_SECRET: '', SECRETS_KEY: '', DATABASE_URL: '' },
    ],
    [
      'when settings do not hold',
      ['JWT_SECRET', 'DATABASE_URL', 'PORT', 'RETRY_TIME_SCALE'],
      {
        ...production,
        JWT_SECRET: canary.slice(0, 31),
        DATABASE_URL: `not-an-address-${canary}`,
        PORT: 'four thousand',
        RETRY_TIME_SCALE: '0.01',
      },
    ],
    ['when one secret is for two things', ['SECRETS_KEY'], { ...production, SECRETS_KEY: production.JWT_SECRET }],
    ['when nobody listens at the database', ['DATABASE_URL'], { DATABASE_URL: production.DATABASE_URL }],
    [
      'when the host of the database is unknown',
      ['DATABASE_URL'],
      { DATABASE_URL: `postgres://parley:${canary}@nowhere.invalid:5432/parley` },
    ],
  ])('ends %s', async (_what, names, env) => {
    const refused = await badStart(env);

    expectRefusal(refused, ...names);
    expect(refused.lines.join()).not.toContain(canary.slice(0, 31));
  });

  it('ends when the database is not there', async () => {
    const url = new URL(database.url);
    url.pathname = '/nothing_of_this_name';
    expectRefusal(await badStart({ DATABASE_URL: url.href }), 'DATABASE_URL');
  });

  it('ends when the server of the database never answers', async () => {
    let connectedAt = Number.NaN;
    const silent = createServer((socket) => {
      connectedAt = performance.now();
      socket.on('error', () => undefined);
    });
    await new Promise<void>((resolve) => silent.listen(0, '127.0.0.1', resolve));
    const { port } = silent.address() as AddressInfo;
    const refused = await badStart({ DATABASE_URL: `postgres://parley:${canary}@127.0.0.1:${port}/parley` });
    const ms = performance.now() - connectedAt;
    silent.close();

    // From the first word to the database: on a loaded machine the start of a process alone takes seconds.
    expectRefusal({ ...refused, ms }, 'DATABASE_URL');
  });

  it('ends when its port is taken', async () => {
    const port = await freePort();
    const other = createServer();
    await new Promise<void>((resolve) => other.listen(port, '127.0.0.1', resolve));
    const refused = await badStart({ DATABASE_URL: database.url, PORT: String(port) });
    other.close();

    expectRefusal(refused, 'PORT');
  });

  it('ends when the database belongs to a newer version, and leaves it as it is', async () => {
    const newer = await createTestDatabase();
    const migrations = () =>
      onConnection(newer.url, async (client) => (await client.query('select name from mikro_orm_migrations')).rows);
    await onConnection(newer.url, (client) =>
      client.query(`insert into mikro_orm_migrations (name) values ('999_of_tomorrow')`),
    );
    const before = await migrations();
    const refused = await badStart({ DATABASE_URL: newer.url });
    const after = await migrations();
    await newer.drop();

    expectRefusal(refused, 'DATABASE_URL');
    expect(refused.lines.join()).toContain('999_of_tomorrow');
    expect(after).toEqual(before);
  });
});

import { beforeAll, describe, expect, it } from '@jest/globals';
import { type App, startApp } from '../support/app.ts';

describe('statements that are sent together', () => {
  let app: App;
  beforeAll(async () => {
    app = await startApp({ settings: { role: 'gateway', dbPool: 1 } });
  });

  const insert = (name: string) => ({
    sql: `insert into tag (id, name, color) values (gen_random_uuid(), $1, 'RED')`,
    parameters: [name],
  });
  const countTags = async () => {
    const [row] = await app.core.sql.run<{ n: number }>({ sql: 'select count(*)::int n from tag', parameters: [] });
    return row?.n;
  };

  it('are there together or not at all, also when the server has forgotten what was prepared', async () => {
    // Often enough to be prepared on the one connection.
    for (const name of ['a', 'b', 'c', 'd']) await app.core.sql.runTogether([insert(name)]);
    await app.core.sql.run({ sql: 'deallocate all', parameters: [] });

    const lost = app.core.sql.runTogether([{ sql: 'select 1 "one"', parameters: [] }, insert('lost')]);
    await expect(lost).rejects.toMatchObject({ code: '26000' });
    expect(await countTags()).toBe(4);

    await app.core.sql.runTogether([insert('e'), insert('f')]);
    expect(await countTags()).toBe(6);
  });

  it('leave what is prepared as it is when one of them is refused for another reason', async () => {
    const connection = async () =>
      (await app.core.sql.run<{ pid: number }>({ sql: 'select pg_backend_pid() pid', parameters: [] }))[0]!.pid;
    const rename = (name: string) => ({
      sql: 'update tag set name = $1 where name = $2',
      parameters: [`${name}!`, name],
    });
    for (let use = 0; use < 3; use += 1) await app.core.sql.run(rename('nobody'));
    // This connection has not prepared it, the process has: as with any connection that is new.
    await app.core.sql.run({ sql: 'deallocate all', parameters: [] });
    const before = await connection();

    const refused = { sql: `select 1 / $1::int`, parameters: [0] };
    const lost = app.core.sql.runTogether([refused, rename('a'), rename('b'), rename('c')]);
    await expect(lost).rejects.toMatchObject({ code: '22012' });
    expect(await connection()).toBe(before);
  });
});

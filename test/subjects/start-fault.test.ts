import type { AddressInfo } from 'node:net';
import { createServer } from 'node:net';
import { expect, it } from '@jest/globals';
import pg from 'pg';
import { startApp } from '../support/app.ts';
import { createTestDatabase } from '../support/database.ts';
import { until } from '../support/until.ts';

it('a start that fails at its last step stops what it had started', async () => {
  const database = await createTestDatabase();
  const taken = createServer();
  await new Promise<void>((resolve) => taken.listen(0, '127.0.0.1', resolve));
  const client = new pg.Client({ connectionString: database.url, application_name: 'operator' });
  try {
    const { port } = taken.address() as AddressInfo;
    await expect(startApp({ database: { url: database.url }, settings: { port } })).rejects.toMatchObject({
      code: 'EADDRINUSE',
    });
    await client.connect();
    await until(async () => {
      const { rows } = await client.query(
        `select count(*)::int n from pg_stat_activity where datname = current_database() and application_name = 'parley'`,
      );
      return rows[0].n === 0;
    });
  } finally {
    await client.end();
    taken.close();
    await database.drop();
  }
});

import { execFile } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, it, jest } from '@jest/globals';
import pg from 'pg';
import { type Json, startApp } from '../support/app.ts';

// Processes start and end: under other load that takes its time.
jest.setTimeout(60_000);

const root = fileURLToPath(new URL('../../', import.meta.url));

/** Runs the command as an operator does. */
async function doctor(databaseUrl: string, ...flags: string[]): Promise<{ code: number; out: string; err: string }> {
  const dataDir = mkdtempSync(join(tmpdir(), 'parley-doctor-'));
  const env = { PATH: process.env.PATH, DATABASE_URL: databaseUrl, DATA_DIR: dataDir, LOG_LEVEL: 'silent' };
  try {
    return await new Promise((resolve) => {
      execFile(process.execPath, ['build.js', '--cli', 'doctor', ...flags], { cwd: root, env }, (error, out, err) =>
        resolve({ code: error ? Number(error.code) : 0, out, err }),
      );
    });
  } finally {
    rmSync(dataDir, { recursive: true, force: true });
  }
}

it('parley doctor finds wrong totals and places, and mends them when told to', async () => {
  const app = await startApp();
  const { token } = await app.make.user();
  const [first, second] = [await app.make.conversation(), await app.make.conversation()];
  expect(await doctor(app.database.url)).toMatchObject({
    code: 0,
    out: expect.stringMatching(
      /^ok {6}migrations\nok {6}totals\nok {6}the order of the inbox\nok {6}journeys that listen to conversations\n$/,
    ),
  });

  const client = new pg.Client({ connectionString: app.database.url });
  await client.connect();
  await client.query(`insert into counter (name, slot, value) values ('conversations', 99, 5)`);
  await client.query(`delete from counter where name = 'unread_conversations'`);
  await client.query('delete from conversation_recency where conversation_id = $1', [first.id]);
  await client.query(`update conversation_recency set unread_count = 9 where conversation_id = $1`, [second.id]);
  await client.query(`insert into conversation_recency values (now(), gen_random_uuid(), 1)`);
  await client.end();

  const found = await doctor(app.database.url);
  expect(found.code).toBe(1);
  expect(found.out).toMatch(
    /WRONG {3}totals\n +conversations: kept 7, counted 2\n +unread_conversations: kept 0, counted 2\n/,
  );
  expect(found.out).toMatch(new RegExp(`WRONG {3}the order of the inbox\n(.*\n)* +conversation ${first.id}`));
  expect(found.err).toContain('--repair');

  const mended = await doctor(app.database.url, '--repair');
  expect(mended).toMatchObject({ code: 0, out: expect.stringMatching(/MENDED {2}totals\n.*MENDED {2}the order/s) });
  expect(await doctor(app.database.url)).toMatchObject({ code: 0 });
  const { data, response_metadata: meta } = (await app.rest('conversations.list', {}, { token })).body;
  expect(data.map(({ id }: Json) => id).sort()).toEqual([first.id, second.id].sort());
  expect(meta.total).toBe(2);
});

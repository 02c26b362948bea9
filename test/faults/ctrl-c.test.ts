import { spawn } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it, jest } from '@jest/globals';
import { until } from '../support/until.ts';

jest.setTimeout(60_000);

async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as { port: number };
  await new Promise((resolve) => server.close(resolve));
  return port;
}

// A terminal sends Ctrl-C to the whole group, and npm hands it on once more to what it runs.
it('Ctrl-C on npm start ends the gateway and the embedded database with it', async () => {
  const dataDir = mkdtempSync(join(tmpdir(), 'parley-ctrl-c-'));
  const port = await freePort();
  const { DATABASE_URL: _, ...env } = process.env;
  const npm = spawn('npm', ['start'], {
    cwd: join(import.meta.dirname, '../..'),
    env: { ...env, DATA_DIR: dataDir, PORT: String(port), NODE_ENV: 'development' },
    detached: true,
    stdio: 'ignore',
  });
  const ended = new Promise<number | null>((resolve) => npm.on('exit', resolve));
  try {
    const health = `http://127.0.0.1:${port}/health/ready`;
    await until(
      () =>
        fetch(health)
          .then(({ ok }) => ok)
          .catch(() => false),
      40_000,
    );
    process.kill(-npm.pid!, 'SIGINT');

    expect(await ended).toBe(0);
    expect(existsSync(join(dataDir, 'postgres/PG_VERSION'))).toBe(true);
    expect(existsSync(join(dataDir, 'postgres/postmaster.pid'))).toBe(false);
  } finally {
    if (npm.exitCode === null) process.kill(-npm.pid!, 'SIGKILL');
    rmSync(dataDir, { recursive: true, force: true });
  }
});

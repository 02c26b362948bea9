import { type ChildProcessWithoutNullStreams, spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import pg from 'pg';
import { type EmbeddedPostgres, startEmbedded, stopAbandoned } from '../../src/database/embedded.ts';

const childProgram = fileURLToPath(new URL('../support/embedded-child.js', import.meta.url));
const log = { info: () => undefined, warn: () => undefined };
let dataDir: string;
let children: ChildProcessWithoutNullStreams[];

beforeEach(() => {
  // A name that the global setup sweeps after runs that were killed.
  dataDir = mkdtempSync(join(tmpdir(), `parley-test-${process.pid}-`));
  // For a folder inside it: root's server runs as another user, who must pass.
  chmodSync(dataDir, 0o711);
  children = [];
});

afterEach(async () => {
  for (const child of children) child.kill('SIGKILL');
  await stopAbandoned(dataDir).catch(() => undefined);
  rmSync(dataDir, { recursive: true, force: true });
});

const start = (folder = dataDir): Promise<EmbeddedPostgres> =>
  startEmbedded({ dataDir: folder, log, parameters: { fsync: 'off' } });

async function startInChild(): Promise<{ child: ChildProcessWithoutNullStreams; url: string; isReused: boolean }> {
  const child = spawn(process.execPath, [childProgram, dataDir]);
  children.push(child);
  const complaint: Buffer[] = [];
  child.stderr.on('data', (text: Buffer) => complaint.push(text));
  const line = await Promise.race([
    once(child.stdout, 'data').then(([data]) => String(data)),
    once(child, 'close').then(() => Promise.reject(new Error(Buffer.concat(complaint).toString()))),
  ]);
  return { child, ...(JSON.parse(line) as { url: string; isReused: boolean }) };
}

async function kill(child: ChildProcessWithoutNullStreams): Promise<void> {
  child.kill('SIGKILL');
  await once(child, 'close');
}

async function query(url: string, text: string): Promise<Record<string, unknown>[]> {
  const client = new pg.Client({ connectionString: url });
  client.on('error', () => undefined);
  await client.connect();
  try {
    return (await client.query<Record<string, unknown>>(text)).rows;
  } finally {
    await client.end();
  }
}

const serverFile = () => join(dataDir, 'postgres', 'postmaster.pid');
const serverPid = () => Number.parseInt(readFileSync(serverFile(), 'utf8'), 10);

describe('the embedded database', () => {
  it('keeps its data from start to start, and listens on a private socket only', async () => {
    const first = await start();
    expect(first.isReused).toBe(false);
    await query(first.url, 'create table kept as select 42 answer');
    expect(await query(first.url, 'show listen_addresses')).toEqual([{ listen_addresses: '' }]);
    expect(statSync(first.connection.host).mode & 0o077).toBe(0);
    await first.stop();
    expect(existsSync(serverFile())).toBe(false);

    const second = await start();
    expect(second.isReused).toBe(false);
    expect(await query(second.url, 'select answer from kept')).toEqual([{ answer: 42 }]);
    await second.stop();
  });

  it('joins the server that a killed process left, and stops it in the end', async () => {
    const { child, url } = await startInChild();
    await query(url, 'create table kept as select 42 answer');
    const pid = serverPid();
    await kill(child);

    const next = await start();
    expect(next.isReused).toBe(true);
    expect(serverPid()).toBe(pid);
    expect(await query(next.url, 'select answer from kept')).toEqual([{ answer: 42 }]);
    await next.stop();
    expect(existsSync(serverFile())).toBe(false);
  });

  it('recovers when process and server were killed together', async () => {
    const { child, url } = await startInChild();
    await query(url, 'create table kept as select 42 answer');
    process.kill(serverPid(), 'SIGKILL');
    await kill(child);

    const next = await start();
    expect(await query(next.url, 'select answer from kept')).toEqual([{ answer: 42 }]);
    await next.stop();
  });

  it('serves several processes of one folder until the last one goes', async () => {
    // All three at once, in a folder where nothing is yet.
    const [ours, one, two] = await Promise.all([start(), startInChild(), startInChild()]);
    expect([ours, one, two].filter((each) => !each.isReused)).toHaveLength(1);
    expect(new Set([ours.url, one.url, two.url]).size).toBe(1);

    await ours.stop();
    one.child.stdin.end();
    await once(one.child, 'close');
    expect(await query(two.url, 'select 1 still_here')).toEqual([{ still_here: 1 }]);

    two.child.stdin.end();
    await once(two.child, 'close');
    expect(existsSync(serverFile())).toBe(false);
  });

  it('begins again where an earlier start was killed half-way', async () => {
    mkdirSync(join(dataDir, 'postgres'));
    writeFileSync(join(dataDir, 'postgres', 'postgresql.conf'), 'half');
    mkdirSync(join(dataDir, 'postgres.99999999.part'));
    mkdirSync(join(dataDir, 'native-18.part'));
    writeFileSync(join(dataDir, 'postgres.lock'), '99999999 gone');

    const server = await start();
    expect(await query(server.url, 'select 1 fine')).toEqual([{ fine: 1 }]);
    await server.stop();
    expect(readdirSync(dataDir).filter((name) => name.endsWith('.part') || name.endsWith('.lock'))).toEqual([]);
  });

  it('takes a folder whose path is longer than that of a socket may be', async () => {
    const folder = join(dataDir, "it's long, with a comma".padEnd(100, '.'));
    const server = await start(folder);
    const other = await start(folder);
    expect(other.url).toBe(server.url);
    await other.stop();
    expect(Buffer.byteLength(server.connection.host)).toBeLessThan(60);
    expect(await query(server.url, 'select 1 fine')).toEqual([{ fine: 1 }]);
    await server.stop();
    expect(existsSync(server.connection.host)).toBe(false);
  });

  it('neither signals nor deletes what its own server files name wrongly', async () => {
    const server = await start();
    const written = readFileSync(serverFile(), 'utf8');
    const bystander = spawn(process.execPath, ['-e', 'process.stdin.resume()']);
    children.push(bystander);
    const precious = join(dataDir, 'precious');
    mkdirSync(precious);
    writeFileSync(join(precious, 'file'), 'kept');
    const lines = written.split('\n');
    lines[0] = String(bystander.pid);
    lines[4] = precious;
    // The server's user may write this file; we may be root.
    writeFileSync(serverFile(), lines.join('\n'));

    server.stopNow();
    await server.stop();
    writeFileSync(serverFile(), written);
    expect(existsSync(join(precious, 'file'))).toBe(true);
    bystander.stdin.end();
    expect(await once(bystander, 'close')).toEqual([0, null]);
  });

  it('refuses a cluster of another version instead of touching it', async () => {
    mkdirSync(join(dataDir, 'postgres'));
    writeFileSync(join(dataDir, 'postgres', 'PG_VERSION'), '15\n');

    await expect(start()).rejects.toThrow('was made by PostgreSQL 15');
    expect(readdirSync(join(dataDir, 'postgres'))).toEqual(['PG_VERSION']);
  });
});

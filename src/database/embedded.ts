import { type ChildProcess, spawn } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { closeSync, existsSync, openSync, readFileSync, renameSync, rmdirSync, rmSync, statSync } from 'node:fs';
import { totalmem } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import pg from 'pg';
import type { Core } from '../domain/context.ts';
import {
  copyBinaries,
  type EmbeddedHome,
  makePrivateFolder,
  makeSocketFolder,
  noBinary,
  openHome,
  postgresVersion,
  removeLeftOvers,
} from './embedded-home.ts';
import { isAlive, withStartLock } from './start-lock.ts';

/** How to reach the embedded database: a Unix socket in a folder of mode 0700, never TCP. */
export interface EmbeddedConnection {
  /** Folder of the socket. */
  host: string;
  port: number;
  user: string;
  database: string;
}

export interface EmbeddedPostgres {
  connection: EmbeddedConnection;
  /** The same as an address: good for DATABASE_URL of a child process, for `pg` and for `openDatabase`. */
  url: string;
  /** True when the server ran already: another process's, or left by a killed one. */
  isReused: boolean;
  /** Stops the server unless another process uses it; then it stays and that process stops it. */
  stop(): Promise<void>;
  /** Asks the server to stop without waiting and whoever uses it: for exit handlers of tests. */
  stopNow(): void;
}

export interface StartEmbedded {
  dataDir: string;
  log: Pick<Core['log'], 'info' | 'warn'>;
  /** Server parameters, such as `{ fsync: 'off' }` for tests. A server that runs already keeps its own. */
  parameters?: Record<string, string>;
}

const user = 'parley';
const database = 'parley';
const port = 5432;
const readyWithinMs = 60_000;
/** How long a killed server's lock file may keep us waiting. */
const lockedWithinMs = 15_000;
const stoppedWithinMs = 15_000;
const maxLogBytes = 10_000_000;
/** Folders of sockets that this process made, by the cluster whose server uses them. */
const madeSocketFolders = new Map<string, string>();

interface Running {
  /** Its connection tells other processes: somebody uses this server. */
  keeper: pg.Client;
  host: string;
}

/**
 * Starts the embedded PostgreSQL of a DATA_DIR, or joins the one that runs there. Several processes may share one:
 * each holds a connection from start to stop, and the last one to go stops the server. For development and tests.
 *
 * @throws Error saying "set DATABASE_URL" where there is no binary for the platform
 */
export async function startEmbedded({ dataDir, log, parameters = {} }: StartEmbedded): Promise<EmbeddedPostgres> {
  const home = openHome(dataDir);
  const { isReused, ...running } = await withStartLock(home.lockFile, async () => {
    const found = await joinServer(home);
    if (found) return { ...found, isReused: true };
    copyBinaries(home);
    await ensureCluster(home);
    return { ...(await startServer(home, parameters)), isReused: false };
  });
  log.info({ folder: home.folder, isReused }, 'embedded database is running');
  let stopping: Promise<void> | undefined;
  return {
    connection: { host: running.host, port, user, database },
    url: urlOf(running.host),
    isReused,
    stop() {
      stopping ??= withStartLock(home.lockFile, () => stopUnlessUsed(home, running.keeper));
      return stopping;
    },
    stopNow() {
      const server = readServer(home);
      if (server) signalServer(home, server.pid, 'SIGINT');
    },
  };
}

/** Stops the server that a killed process left in a folder, whoever uses it; nothing where none runs. */
export async function stopAbandoned(dataDir: string): Promise<void> {
  const home = openHome(dataDir);
  const running = await joinServer(home);
  if (!running) return;
  await stopServer(home);
  await running.keeper.end().catch(() => undefined);
}

// `pg` and libpq take the socket's folder from `host`; the name before the port only makes it a valid URL.
function urlOf(host: string): string {
  return `postgres://${user}@localhost:${port}/${database}?host=${encodeURIComponent(host)}&sslmode=disable`;
}

async function connect(host: string): Promise<pg.Client> {
  const client = new pg.Client({
    host,
    port,
    user,
    // Not our own database: that one may be dropped and restored while we run.
    database: 'postgres',
    ssl: false,
    application_name: 'parley keeper',
    connectionTimeoutMillis: 5_000,
  });
  client.on('error', () => undefined);
  await client.connect();
  try {
    const known = await client.query('select from pg_database where datname = $1', [database]);
    if (known.rowCount === 0) await client.query(`create database ${database}`);
  } catch (error) {
    await client.end().catch(() => undefined);
    throw error;
  }
  return client;
}

interface ServerFile {
  pid: number;
  /** Undefined until the server has made its socket. */
  socketFolder?: string;
}

function readServer({ cluster }: EmbeddedHome): ServerFile | undefined {
  let lines: string[];
  try {
    lines = readFileSync(join(cluster, 'postmaster.pid'), 'utf8').split('\n');
  } catch {
    return undefined;
  }
  // Lines: pid, data folder, start time, port, socket folder, address, shared memory, state.
  const pid = Number(lines[0]);
  return Number.isInteger(pid) && pid > 1 ? { pid, socketFolder: lines[4]?.trim() || undefined } : undefined;
}

/** Connects to the server that runs already; undefined when none does. */
async function joinServer(home: EmbeddedHome): Promise<Running | undefined> {
  const deadline = Date.now() + readyWithinMs;
  for (;;) {
    const server = readServer(home);
    if (!server || !isAlive(server.pid)) return undefined;
    if (isAnotherProgram(server.pid)) {
      // Left by a server of before a restart of the machine; its number belongs to somebody else now.
      rmSync(join(home.cluster, 'postmaster.pid'), { force: true });
      return undefined;
    }
    if (server.socketFolder) {
      try {
        return { keeper: await connect(server.socketFolder), host: server.socketFolder };
      } catch (error) {
        if (Date.now() > deadline) throw error;
      }
    }
    if (Date.now() > deadline) throw new Error(`the database in ${home.cluster} runs but does not answer`);
    await sleep(30);
  }
}

function isAnotherProgram(pid: number): boolean {
  try {
    return readFileSync(`/proc/${pid}/comm`, 'utf8').trim() !== 'postgres';
  } catch {
    return false;
  }
}

/** Makes the cluster where there is none. It appears by rename, so a start that is killed leaves none half-made. */
async function ensureCluster(home: EmbeddedHome): Promise<void> {
  removeLeftOvers(home, (name) => name.startsWith('postgres.') && name.endsWith('.part'));
  const versionFile = join(home.cluster, 'PG_VERSION');
  if (existsSync(versionFile)) {
    const made = readFileSync(versionFile, 'utf8').trim();
    const ours = postgresVersion().split('.')[0];
    if (made === ours) return;
    throw new Error(
      `${home.cluster} was made by PostgreSQL ${made}, this is ${ours}: move it away or set DATABASE_URL`,
    );
  }
  const part = `${home.cluster}.${randomUUID()}.part`;
  makePrivateFolder(part, home);
  await run(home, 'initdb', [
    ...['-D', part, '-U', user, '-A', 'trust', '-E', 'UTF8', '--locale=C'],
    ...['--locale-provider=builtin', '--builtin-locale=C.UTF-8', '--no-sync', '--no-instructions'],
  ]);
  rmSync(home.cluster, { recursive: true, force: true });
  renameSync(part, home.cluster);
}

async function run(home: EmbeddedHome, program: string, args: string[]): Promise<void> {
  const child = spawn(join(home.native, 'bin', program), args, {
    ...childOptions(home),
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  let complaint = '';
  child.stderr?.setEncoding('utf8').on('data', (text: string) => {
    complaint += text;
  });
  const code = await ended(child);
  if (code !== 0) throw new Error(`${program} failed (${code}): ${complaint.trim()}`);
}

// A small environment: variables such as PGPORT or PGDATA would change what the programs do.
function childOptions({ runAs }: EmbeddedHome) {
  return { ...runAs, cwd: '/', env: { LC_ALL: 'C', PATH: process.env.PATH ?? '/usr/bin:/bin' } };
}

/** @throws Error saying "set DATABASE_URL" when the program cannot run here, as with the C library of Alpine */
async function ended(child: ChildProcess): Promise<number | NodeJS.Signals> {
  try {
    const [code, killedBy] = (await once(child, 'close')) as [number | null, NodeJS.Signals | null];
    return code ?? killedBy ?? 'SIGKILL';
  } catch (error) {
    throw noBinary((error as Error).message);
  }
}

async function startServer(home: EmbeddedHome, parameters: Record<string, string>): Promise<Running> {
  const deadline = Date.now() + lockedWithinMs;
  for (;;) {
    const host = makeSocketFolder(home);
    const complaint = await tryStart(home, host, parameters);
    if (typeof complaint !== 'string') {
      if (host !== home.cluster) madeSocketFolders.set(home.cluster, host);
      return { keeper: complaint, host };
    }
    if (host !== home.cluster) removeSocketFolder(host);
    // A killed server keeps its lock until it is reaped; and somebody may have started one beside us.
    if (!/lock file .* already exists/.test(complaint) || Date.now() > deadline) {
      throw new Error(`the embedded PostgreSQL did not start (see ${home.serverLog}): ${complaint}`);
    }
    await sleep(150);
    const running = await joinServer(home);
    if (running) return running;
  }
}

/** A sixteenth of the machine's memory: what is written often stays in it, and is written to disk once for many changes. */
function sharedBuffersMb(memoryBytes: number): number {
  return Math.max(128, Math.min(1_024, Math.floor(memoryBytes / 16 / 2 ** 20)));
}

/** Gives a connection, or what the server said before it ended. */
async function tryStart(
  home: EmbeddedHome,
  host: string,
  parameters: Record<string, string>,
): Promise<pg.Client | string> {
  const size = statSync(home.serverLog, { throwIfNoEntry: false })?.size ?? 0;
  const isLong = size > maxLogBytes;
  const all = {
    listen_addresses: '',
    // A list with commas between; the quotes keep a comma or a space of the path in it.
    unix_socket_directories: `"${host.replaceAll('"', '""')}"`,
    port: String(port),
    timezone: 'UTC',
    log_timezone: 'UTC',
    // A failed statement holds what people wrote, and its detail their addresses: neither belongs into a log.
    log_min_error_statement: 'panic',
    log_error_verbosity: 'terse',
    shared_buffers: `${sharedBuffersMb(totalmem())}MB`,
    ...parameters,
  };
  const output = openSync(home.serverLog, isLong ? 'w' : 'a', 0o600);
  const child = spawn(
    join(home.native, 'bin', 'postgres'),
    ['-D', home.cluster, ...Object.entries(all).flatMap(([name, value]) => ['-c', `${name}=${value}`])],
    // A process group of its own, or Ctrl-C would stop it before our own connections have closed.
    { ...childOptions(home), detached: true, stdio: ['ignore', output, output] },
  );
  closeSync(output);
  child.unref();
  let isRunning = true;
  const end = ended(child).finally(() => {
    isRunning = false;
  });
  end.catch(() => undefined);
  const deadline = Date.now() + readyWithinMs;
  while (isRunning) {
    const isOurs = readServer(home)?.pid === child.pid;
    const client = isOurs ? await connect(host).catch(() => undefined) : undefined;
    if (client) return client;
    if (Date.now() > deadline) {
      if (child.pid) signal(child.pid, 'SIGQUIT');
      return `it was not ready within ${readyWithinMs / 1000} s`;
    }
    await sleep(15);
  }
  await end;
  return readFileSync(home.serverLog, 'utf8')
    .slice(isLong ? 0 : size)
    .trim();
}

async function stopUnlessUsed(home: EmbeddedHome, keeper: pg.Client): Promise<void> {
  let client = keeper;
  try {
    if (await isUsedBeside(keeper)) return;
  } catch {
    // Our connection is lost: ask again on a new one, if the server is still there.
    const running = await joinServer(home);
    if (!running) return;
    client = running.keeper;
    if (await isUsedBeside(client).catch(() => true)) return;
  } finally {
    if (client !== keeper) await keeper.end().catch(() => undefined);
  }
  await stopServer(home);
  await client.end().catch(() => undefined);
}

/** Looks for half a second, since our own connections that closed just now may still be listed. */
async function isUsedBeside(client: pg.Client): Promise<boolean> {
  for (let look = 0; look < 10; look += 1) {
    if (look > 0) await sleep(50);
    const others = await client.query(
      `select from pg_stat_activity where backend_type = 'client backend' and pid <> pg_backend_pid() limit 1`,
    );
    if (others.rowCount === 0) return false;
  }
  await client.end();
  return true;
}

/**
 * Stops by the number in `postmaster.pid`, since the server may be the child of an earlier process. Where we are root,
 * that file belongs to a user with fewer rights: what it names is not signalled unless it is the server, and not deleted.
 */
async function stopServer(home: EmbeddedHome): Promise<void> {
  const server = readServer(home);
  if (!server || !signalServer(home, server.pid, 'SIGINT')) return;
  const started = Date.now();
  while (readServer(home)?.pid === server.pid && isAlive(server.pid)) {
    if (Date.now() - started > stoppedWithinMs) {
      signalServer(home, server.pid, 'SIGQUIT');
      break;
    }
    await sleep(15);
  }
  const folder = madeSocketFolders.get(home.cluster);
  madeSocketFolders.delete(home.cluster);
  if (folder) removeSocketFolder(folder);
}

// Name by name: its owner, who is not root, may have put anything else there.
function removeSocketFolder(folder: string): void {
  try {
    for (const name of [`.s.PGSQL.${port}`, `.s.PGSQL.${port}.lock`]) rmSync(join(folder, name), { force: true });
    rmdirSync(folder);
  } catch {
    // Not as we made it, or gone already.
  }
}

/** @returns false for a process that is not the server of this folder; it hears nothing */
function signalServer(home: EmbeddedHome, pid: number, name: NodeJS.Signals): boolean {
  if (!isServerOf(home, pid)) return false;
  signal(pid, name);
  return true;
}

function isServerOf({ cluster }: EmbeddedHome, pid: number): boolean {
  if (process.platform !== 'linux') return !isAnotherProgram(pid);
  try {
    const words = readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0');
    return !isAnotherProgram(pid) && words.some((word, index) => word === '-D' && words[index + 1] === cluster);
  } catch {
    return false;
  }
}

function signal(pid: number, name: NodeJS.Signals): void {
  try {
    process.kill(pid, name);
  } catch {
    // It is gone already.
  }
}

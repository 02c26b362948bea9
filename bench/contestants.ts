import { type ChildProcess, fork, spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, mkdirSync, openSync, readFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { dataDir, projectDir } from './postgres.ts';
import { atEnd } from './processes.ts';

/** A running server under measurement. */
export interface Contestant {
  port: number;
  pid: number;
  /** From the start of the process to its first answer. */
  firstAnswerMs: number;
  stop(): Promise<void>;
}

/** Who asks, the same for all. */
export interface Credentials {
  sourceId: string;
  sourceToken: string;
  userToken: string;
  userId: string;
}

export type YardstickMode = 'single' | 'coalesced';

/** What the yardstick's process is told. */
export interface YardstickConfig {
  databaseUrl: string;
  mode: YardstickMode;
  /** Database connections. */
  connections: number;
  credentials: Credentials;
  userName: string;
  actionUrl: string;
}

export const adminAccount = {
  email: 'bench@example.com',
  password: 'bench password',
  first_name: 'Grace',
  last_name: 'Hopper',
};

/** Of the bench only: they open nothing but its own data. */
const secrets = {
  JWT_SECRET: 'bench bench bench bench bench bench bench',
  SECRETS_KEY: 'bench secrets bench secrets bench secrets',
};

const readyWithinMs = 60_000;
const stoppedWithinMs = 12_000;

export async function startYardstick(config: YardstickConfig): Promise<Contestant> {
  const startedAt = performance.now();
  const child = fork(join(projectDir, 'bench/yardstick.ts'), [], { env: quietEnvironment() });
  child.send(config);
  const [{ port }] = (await Promise.race([once(child, 'message'), failedStart(child, 'the yardstick')])) as [
    { port: number },
  ];
  return contestant(child, port, performance.now() - startedAt);
}

export interface GatewayOptions {
  /** Undefined: the gateway makes a new embedded database in `folder`. */
  databaseUrl: string | undefined;
  folder?: string;
  /** `host:port` that its action calls may go to. */
  outbound?: string;
  /** Folder for a CPU profile. */
  profileDir?: string;
}

/** Starts `node --max-semi-space-size=4 --heap-growing-percent=180 dist/main.js`, as production does. */
export async function startGateway(options: GatewayOptions): Promise<Contestant> {
  const folder = options.folder ?? join(dataDir, 'gateway');
  mkdirSync(folder, { recursive: true, mode: 0o711 });
  const log = join(folder, 'gateway.log');
  const port = await freePort();
  const output = openSync(log, 'w', 0o600);
  const profile = options.profileDir ? ['--cpu-prof', `--cpu-prof-dir=${options.profileDir}`] : [];
  const startedAt = performance.now();
  const child = spawn(
    process.execPath,
    ['--max-semi-space-size=4', '--heap-growing-percent=180', ...profile, 'dist/main.js'],
    {
      cwd: projectDir,
      stdio: ['ignore', output, output],
      env: {
        ...quietEnvironment(),
        ...secrets,
        HOST: '127.0.0.1',
        PORT: String(port),
        DATA_DIR: folder,
        ...(options.databaseUrl && { DATABASE_URL: options.databaseUrl }),
        ...(options.outbound && { OUTBOUND_ALLOW: options.outbound }),
      },
    },
  );
  closeSync(output);
  await Promise.race([
    untilAnswer(port),
    failedStart(child, 'the gateway', () => readFileSync(log, 'utf8').slice(-2_000)),
  ]);
  return contestant(child, port, performance.now() - startedAt);
}

// A small environment: a setting of whoever runs the bench would change what is measured.
function quietEnvironment(): Record<string, string> {
  const { PATH = '/usr/bin:/bin', HOME = '/', TMPDIR } = process.env;
  return { PATH, HOME, ...(TMPDIR && { TMPDIR }) };
}

async function failedStart(child: ChildProcess, name: string, words = () => ''): Promise<never> {
  const [code] = (await once(child, 'exit')) as [number | null];
  throw new Error(`${name} ended (${code}) before it answered: ${words()}`);
}

async function untilAnswer(port: number): Promise<void> {
  const deadline = Date.now() + readyWithinMs;
  for (;;) {
    const status = await post(port, 'graphql', { query: '{ __typename }' }).then(
      (answer) => answer.status,
      () => undefined,
    );
    if (status === 200) return;
    if (Date.now() > deadline) throw new Error(`no answer on port ${port} within ${readyWithinMs / 1_000} s`);
    await sleep(5);
  }
}

function contestant(child: ChildProcess, port: number, firstAnswerMs: number): Contestant {
  const kill = () => void child.kill('SIGKILL');
  const forget = atEnd(kill);
  return {
    port,
    pid: child.pid!,
    firstAnswerMs,
    async stop() {
      if (child.exitCode === null && child.signalCode === null) {
        const ended = once(child, 'exit');
        child.kill('SIGTERM');
        const timer = setTimeout(kill, stoppedWithinMs);
        await ended;
        clearTimeout(timer);
      }
      forget();
    },
  };
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  server.close();
  await once(server, 'close');
  return typeof address === 'object' && address ? address.port : 0;
}

/** One call outside the measured time. */
export async function post(
  port: number,
  path: string,
  body: unknown,
  token?: string,
): Promise<{ status: number; body: unknown }> {
  const response = await fetch(`http://127.0.0.1:${port}/${path}`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', ...(token && { authorization: `Bearer ${token}` }) },
    body: JSON.stringify(body),
  });
  const text = await response.text();
  return { status: response.status, body: text === '' ? undefined : JSON.parse(text) };
}

/** The body of an answer. @throws Error with what was answered instead of `status` */
export async function call<Body>(
  port: number,
  path: string,
  body: unknown,
  { token, status = 200 }: { token?: string; status?: number } = {},
): Promise<Body> {
  const answer = await post(port, path, body, token);
  if (answer.status !== status) throw new Error(`${path} answered ${answer.status}: ${JSON.stringify(answer.body)}`);
  return answer.body as Body;
}

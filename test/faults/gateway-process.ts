import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, mkdtempSync, openSync, readFileSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll } from '@jest/globals';
import type { Json } from '../support/app.ts';
import { until } from '../support/until.ts';

const root = fileURLToPath(new URL('../../', import.meta.url));

/** Secrets that all gateways of a test share, so that a token of one is good at the other. */
export const testSecrets = {
  jwtSecret: 'the jwt secret that all gateways of a test share',
  secretsKey: 'the secrets key that all gateways of a test share',
} as const;

export interface GatewayOptions {
  databaseUrl?: string;
  /** Default: a free one, kept over restarts. */
  port?: number;
  env?: Record<string, string>;
  /** Arguments of node itself, such as `--import`. */
  nodeArgs?: string[];
  /** Where it prints to, instead of `output`. */
  logFile?: string;
}

/** How a process ended. */
export interface Ending {
  code: number | null;
  signal: NodeJS.Signals | null;
  /** Since it was told to. */
  ms: number;
}

const running = new Set<ChildProcess>();
const folders = new Set<string>();
// A jest that is killed itself must not leave gateways behind.
process.once('exit', () => {
  for (const child of running) child.kill('SIGKILL');
});
afterAll(async () => {
  for (const child of [...running]) {
    child.kill('SIGKILL');
    await once(child, 'exit');
  }
  for (const folder of folders) rmSync(folder, { recursive: true, force: true });
});

/** A gateway as operators run it: the built program in a process of its own. Killed after the file's tests. */
export class GatewayProcess {
  readonly url: string;
  readonly wsUrl: string;
  /** All it printed, over all restarts. */
  output = '';
  /** From the start of the process to its first "ready", for each start. */
  readonly startMs: number[] = [];
  readonly #options: GatewayOptions;
  readonly #port: number;
  readonly #dataDir: string;
  #child: ChildProcess | undefined;
  #peakRssMb = 0;

  private constructor(options: GatewayOptions, port: number) {
    this.#options = options;
    this.#port = port;
    this.#dataDir = mkdtempSync(join(tmpdir(), 'parley-fault-'));
    folders.add(this.#dataDir);
    this.url = `http://127.0.0.1:${port}`;
    this.wsUrl = `ws://127.0.0.1:${port}/graphql`;
  }

  /** Chooses a port and starts nothing yet. */
  static async prepare(options: GatewayOptions): Promise<GatewayProcess> {
    return new GatewayProcess(options, options.port ?? (await freePort()));
  }

  /** Starts it and waits until it is ready. */
  static async start(options: GatewayOptions): Promise<GatewayProcess> {
    const gateway = await GatewayProcess.prepare(options);
    await gateway.start();
    return gateway;
  }

  get pid(): number {
    const pid = this.#child?.pid;
    if (pid === undefined) throw new Error('the gateway does not run');
    return pid;
  }

  /** Starts the process and does not wait for anything. */
  launch(more: { nodeArgs?: string[]; env?: Record<string, string> } = {}): void {
    const { databaseUrl, env, nodeArgs = [], logFile } = this.#options;
    const log = logFile === undefined ? 'pipe' : openSync(logFile, 'a');
    const child = spawn(process.execPath, [...nodeArgs, ...(more.nodeArgs ?? []), 'dist/main.js'], {
      cwd: root,
      env: {
        PATH: process.env.PATH,
        HOST: '127.0.0.1',
        PORT: String(this.#port),
        DATA_DIR: this.#dataDir,
        LOG_LEVEL: 'warn',
        JWT_SECRET: testSecrets.jwtSecret,
        SECRETS_KEY: testSecrets.secretsKey,
        DB_POOL: '6',
        ...(databaseUrl && { DATABASE_URL: databaseUrl }),
        ...env,
        ...more.env,
      },
      stdio: ['ignore', log, log],
    });
    for (const stream of [child.stdout, child.stderr]) {
      stream?.on('data', (text: Buffer) => {
        this.output += text;
      });
    }
    if (typeof log === 'number') closeSync(log);
    running.add(child);
    child.once('exit', () => running.delete(child));
    this.#child = child;
  }

  async start(more: { nodeArgs?: string[]; env?: Record<string, string> } = {}): Promise<void> {
    const begunAt = performance.now();
    this.launch(more);
    await until(async () => {
      if (this.#hasEnded) throw new Error(`the gateway ended at its start:\n${this.output}`);
      return (await this.readiness()) === 200;
    }, 15_000);
    this.startMs.push(performance.now() - begunAt);
  }

  get isRunning(): boolean {
    return this.#child !== undefined && !this.#hasEnded;
  }

  get #hasEnded(): boolean {
    return this.#child?.exitCode != null || this.#child?.signalCode != null;
  }

  /** The most memory that any of its processes held so far, in MB; 0 where the system does not tell. */
  get peakRssMb(): number {
    try {
      const status = readFileSync(`/proc/${this.pid}/status`, 'utf8');
      const peakKb = Number(/VmHWM:\s+(\d+)/.exec(status)?.[1] ?? 0);
      this.#peakRssMb = Math.max(this.#peakRssMb, Math.round(peakKb / 1024));
    } catch {
      // It has ended, or this is not Linux.
    }
    return this.#peakRssMb;
  }

  /** The status of /health/ready on a connection of its own; 0 when nobody answers. */
  async readiness(): Promise<number> {
    try {
      const response = await fetch(`${this.url}/health/ready`, {
        headers: { connection: 'close' },
        signal: AbortSignal.timeout(2_000),
      });
      await response.arrayBuffer();
      return response.status;
    } catch {
      return 0;
    }
  }

  /** `kill -9`. */
  kill(): Promise<Ending> {
    return this.#end('SIGKILL');
  }

  /** SIGTERM, and waits for the end. */
  terminate(): Promise<Ending> {
    return this.#end('SIGTERM');
  }

  /** Sends a signal and waits for nothing: SIGSTOP, SIGCONT, a second SIGTERM. */
  signal(name: NodeJS.Signals): void {
    process.kill(this.pid, name);
  }

  /** Waits for the end of the process, which was told to end, or does so by itself. */
  async ended(): Promise<Ending> {
    const child = this.#child;
    if (!child) throw new Error('the gateway does not run');
    const since = performance.now();
    if (!this.#hasEnded) await once(child, 'exit');
    return { code: child.exitCode, signal: child.signalCode, ms: performance.now() - since };
  }

  #end(signal: NodeJS.Signals): Promise<Ending> {
    void this.peakRssMb;
    const ended = this.ended();
    if (!this.#hasEnded) this.signal(signal);
    return ended;
  }

  async post(name: string, body: unknown, token?: string): Promise<{ status: number; headers: Headers; body: Json }> {
    const response = await fetch(`${this.url}/${name}`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', ...(token && { authorization: token }) },
      body: JSON.stringify(body),
      signal: AbortSignal.timeout(10_000),
    });
    const text = await response.text();
    return { status: response.status, headers: response.headers, body: text === '' ? undefined : JSON.parse(text) };
  }
}

/** What a fault run writes to and reads with. */
export interface Ground {
  adminToken: string;
  source: { sourceId: string; token: string };
  sourceChannelId: string;
  /** The feed's position before the load. */
  cursor: string;
}

/** Signs the first user up and makes a source with a channel, by the API alone. */
export async function prepareGround(gateway: GatewayProcess, actionEndpoint?: string): Promise<Ground> {
  const ask = async (name: string, body: unknown, token?: string): Promise<Json> => {
    const answer = await gateway.post(name, body, token);
    if (answer.status >= 300) throw new Error(`${name} answered ${answer.status}: ${JSON.stringify(answer.body)}`);
    return answer.body;
  };
  const { token: adminToken } = await ask('users.signup', {
    first_name: 'Ada',
    last_name: 'Lovelace',
    email: 'ada@example.com',
    password: 'correct horse',
  });
  const sourceId = 'fault-source';
  const { token } = await ask('sources.create', { source_id: sourceId, action_endpoint: actionEndpoint }, adminToken);
  const sourceChannelId = 'fault-channel';
  await ask('sources.channels.create', { source_channel_id: sourceChannelId, name: 'A channel' }, token);
  const { data } = await ask('graphql', { query: '{ eventCursor }' }, adminToken);
  return { adminToken, source: { sourceId, token }, sourceChannelId, cursor: data.eventCursor };
}

/**
 * A port that nobody listens on, below those that outgoing connections take: a client that tries a killed gateway's
 * port again and again could else be given that very port and be connected to itself.
 */
export async function freePort(): Promise<number> {
  for (;;) {
    const port = 20_000 + Math.floor(Math.random() * 12_000);
    const probe = createServer();
    const isFree = await new Promise<boolean>((resolve) => {
      probe.once('error', () => resolve(false));
      probe.listen(port, '127.0.0.1', () => probe.close(() => resolve(true)));
    });
    if (isFree) return port;
  }
}

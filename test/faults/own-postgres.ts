import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll } from '@jest/globals';
import { type EmbeddedPostgres, startEmbedded } from '../../src/database/embedded.ts';
import { until } from '../support/until.ts';

const silent = { info: () => undefined, warn: () => undefined };
const running = new Set<OwnPostgres>();
process.once('exit', () => {
  for (const server of running) server.stopNow();
});
afterAll(async () => {
  for (const server of [...running]) await server.stop();
});

/** A PostgreSQL of a test's own, durable as in production, that may be killed. Gone after the file's tests. */
export class OwnPostgres {
  readonly #dataDir: string;
  readonly #parameters: Record<string, string>;
  #server: EmbeddedPostgres | undefined;

  private constructor(folder: string, parameters: Record<string, string>) {
    this.#dataDir = mkdtempSync(join(folder, 'parley-own-postgres-'));
    this.#parameters = parameters;
  }

  /** @param folder where its data is put */
  static async start(folder = tmpdir(), parameters: Record<string, string> = {}): Promise<OwnPostgres> {
    const server = new OwnPostgres(folder, parameters);
    running.add(server);
    await server.start();
    return server;
  }

  /** Of its one database, the same after each start. */
  get url(): string {
    return this.#expectServer().url;
  }

  /** `kill -9` of the postmaster: its children go as soon as they see it. */
  kill(): void {
    const file = join(this.#dataDir, 'postgres', 'postmaster.pid');
    process.kill(Number(readFileSync(file, 'utf8').split('\n', 1)[0]), 'SIGKILL');
  }

  /** Starts it where it does not run, again and again until the last child of the one before is gone. */
  async start(): Promise<void> {
    this.#server = await until(
      () => startEmbedded({ dataDir: this.#dataDir, log: silent, parameters: this.#parameters }).catch(() => undefined),
      30_000,
    );
  }

  async stop(): Promise<void> {
    running.delete(this);
    await this.#server?.stop();
    this.stopNow();
    rmSync(this.#dataDir, { recursive: true, force: true });
  }

  stopNow(): void {
    this.#server?.stopNow();
  }

  #expectServer(): EmbeddedPostgres {
    if (!this.#server) throw new Error('the server did not start');
    return this.#server;
  }
}

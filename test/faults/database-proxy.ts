import { createServer, connect as dial, type Server, type Socket } from 'node:net';
import { afterAll } from '@jest/globals';
import pg from 'pg';

const open = new Set<DatabaseProxy>();
afterAll(async () => {
  for (const proxy of [...open]) await proxy.close();
});

/** Stands on a TCP port between a gateway and its database, to be slowed down, cut or made a black hole. */
export class DatabaseProxy {
  /** What each answer of the database is late by. */
  latencyMs = 0;
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();
  /** Those of them that came in. */
  readonly #gateways = new Set<Socket>();
  readonly #target: { host: string; port: number };
  #isBlackHole = false;

  private constructor(target: { host: string; port: number }) {
    this.#target = target;
    this.#server = createServer((near) => this.#join(near));
  }

  /** @param databaseUrl where it leads to, a Unix socket or a port */
  static async open(databaseUrl: string): Promise<DatabaseProxy> {
    const { host, port } = new pg.Client({ connectionString: databaseUrl });
    const proxy = new DatabaseProxy({ host, port });
    await new Promise<void>((resolve) => proxy.#server.listen(0, '127.0.0.1', resolve));
    open.add(proxy);
    return proxy;
  }

  /** The address of a database that is reached through it. */
  urlOf(databaseUrl: string): string {
    const url = new URL(databaseUrl);
    url.searchParams.delete('host');
    url.hostname = '127.0.0.1';
    url.port = String((this.#server.address() as { port: number }).port);
    return url.href;
  }

  /** Nothing passes any more and nobody is told, new connections included. */
  swallow(): void {
    this.#isBlackHole = true;
    for (const socket of this.#sockets) socket.pause();
  }

  /** What was under way arrives now, late, as the network would have sent it again. */
  letThrough(): void {
    this.#isBlackHole = false;
    for (const socket of this.#sockets) socket.resume();
  }

  /** All connections end with a reset. */
  reset(): void {
    for (const socket of this.#gateways) socket.resetAndDestroy();
  }

  async close(): Promise<void> {
    open.delete(this);
    for (const socket of this.#sockets) socket.destroy();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  #join(near: Socket): void {
    const { host, port } = this.#target;
    const far = host.startsWith('/') ? dial(`${host}/.s.PGSQL.${port}`) : dial(port, host);
    this.#gateways.add(near);
    near.on('close', () => this.#gateways.delete(near));
    this.#pass(near, far, () => 0);
    this.#pass(far, near, () => this.latencyMs);
  }

  #pass(from: Socket, to: Socket, delayMs: () => number): void {
    this.#sockets.add(from);
    if (this.#isBlackHole) from.pause();
    // What is late holds up what comes behind it, as a wire does: no answer overtakes the one before.
    const late: { step: () => void; dueAt: number }[] = [];
    const passOn = () => {
      late.shift()!.step();
      if (late.length > 0) setTimeout(passOn, late[0]!.dueAt - performance.now());
    };
    const later = (step: () => void) => {
      const ms = delayMs();
      if (ms === 0 && late.length === 0) return step();
      late.push({ step, dueAt: performance.now() + ms });
      if (late.length === 1) setTimeout(passOn, ms);
    };
    from.on('data', (bytes) => later(() => to.write(bytes)));
    from.on('end', () => later(() => to.end()));
    from.on('error', () => to.destroy());
    from.on('close', () => {
      this.#sockets.delete(from);
      later(() => to.destroySoon());
    });
  }
}

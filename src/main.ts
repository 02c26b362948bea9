import './node-version.ts';
import { dirname, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { type Logger, pino } from 'pino';
import { loadSettings, SettingsFault } from './config.ts';
import { createMailer } from './connectors/smtp/mailer.ts';
import { examine } from './database/doctor.ts';
import { startEmbedded } from './database/embedded.ts';
import { DatabaseIsNewer, migrateUp, migrationStatus } from './database/migrate.ts';
import { openDatabase } from './database/open.ts';
import { openWakeups } from './database/wakeups.ts';
import { passwordQueue } from './domain/accounts/users/password.ts';
import { createUser as createUserAccount, type NewUser } from './domain/accounts/users/user.service.ts';
import { stopScripts } from './domain/automation/expressions/expression.service.ts';
import { readBacklog } from './domain/backlog.ts';
import { type Core, type Role, type Settings, systemCtx } from './domain/context.ts';
import { type EventFeed, startEventFeed } from './domain/event-feed.ts';
import { ensurePeriodicLanes } from './domain/jobs.ts';
import { noLegacyCalls, startLegacyCalls } from './domain/legacy-calls.ts';
import type { Mailer } from './domain/mail.ts';
import { silentMeter } from './domain/meter.ts';
import { createOutboundHttp, type OutboundHttp } from './domain/outbound-http.ts';
import { retentionLane } from './domain/retention.ts';
import { createGraph } from './graphql/execute.ts';
import { createLive } from './graphql/live.ts';
import { buildParleySchema } from './graphql/schema.ts';
import { samples } from './rest/contracts/airy.samples.ts';
import { allRows } from './rest/contracts/all-rows.ts';
import { openApiOf } from './rest/openapi.ts';
import { compileRows } from './rest/run-row.ts';
import { type ApiParts, createHttpServer } from './server/http.ts';
import { createMetrics } from './server/metrics.ts';
import { startTracing } from './server/tracing.ts';
import { watchVitals } from './server/vitals.ts';
import { entities, keptChecks } from './wiring.ts';
import { startWorker } from './worker/worker.ts';

export { keptChecks } from './wiring.ts';

const backgroundMs = 3_000;

/** A running Parley. */
export interface Parley {
  core: Core;
  /** `http://host:port`; empty where this process serves nothing. */
  url: string;
  /** `lingerMs`: how long requests are still taken while /health/ready says that they should go elsewhere. */
  stop(lingerMs?: number): Promise<void>;
}

/** What tests put in the place of the real thing. */
export interface Stand {
  log?: Logger;
  now?: () => Date;
  mailer?: Mailer;
  /** Wraps the one outbound function, to shorten its time limits or to see what is asked of it. */
  outbound?: (guarded: OutboundHttp) => OutboundHttp;
  durability?: 'check' | 'ignore';
}

/** Wires everything and starts what `ROLE` asks for. Stops in the opposite order what had been started if one part fails. */
export async function start(settings: Settings, stand: Stand = {}): Promise<Parley> {
  const log = stand.log ?? createLog(settings);
  const stops: (() => unknown)[] = [];
  // What takes work from outside ends first and together, each within its own time.
  const active: ((lingerMs?: number) => Promise<void>)[] = [];
  const stop = async (lingerMs?: number) => {
    await Promise.all(active.splice(0).map((end) => end(lingerMs)));
    for (const step of stops.splice(0).reverse()) await step();
  };
  try {
    if (settings.otlpEndpoint) stops.push(await startTracing(log));
    const url = await openedDatabaseUrl(settings, log, stops);
    await migrateUp({ url, log });
    const database = await openDatabase({ url, entities, settings, log, durability: stand.durability });
    stops.push(() => database.close());
    const wakeups = await openWakeups({ url, log });
    stops.push(() => wakeups.close());
    stops.push(stopScripts);
    const guarded = createOutboundHttp({
      allow: settings.outboundAllow,
      ownPorts: () => (settings.port ? [settings.port] : []),
    });
    const outbound = stand.outbound?.(guarded) ?? guarded;
    stops.push(() => outbound.close());
    const mailer = stand.mailer ?? createMailer(settings, log);
    const metrics = createMetrics();
    const now = stand.now ?? (() => new Date());
    const legacyCalls = startLegacyCalls({ sql: database.sql, log, now });
    stops.push(() => legacyCalls.stop());
    const background = new Set<Promise<unknown>>();
    // A mail server that hangs must not hold the stop.
    stops.push(() => Promise.race([Promise.allSettled(background), sleep(backgroundMs, undefined, { ref: false })]));
    const core: Core = {
      settings,
      log,
      em: database.em,
      sql: database.sql,
      wakeups,
      outbound,
      mailer,
      meter: metrics.meter,
      legacyCalls,
      background,
      now,
    };

    if (settings.role !== 'gateway') {
      await ensurePeriodicLanes(core, [retentionLane]);
      const worker = startWorker(core);
      active.push(() => worker.stop());
    }
    let feed: EventFeed | undefined;
    const vitals = watchVitals({
      log,
      connections: database.connections,
      readBacklog: () => readBacklog(core, feed?.position),
      passwordQueue,
    });
    stops.push(() => vitals.stop());
    if (settings.role === 'worker' && !settings.isPortGiven) return { core, url: '', stop };

    let api: ApiParts | undefined;
    if (settings.role !== 'worker') {
      feed = await startEventFeed(core);
      stops.push(() => feed?.stop());
      api = await openApi(core, feed, stops);
    }
    const server = await createHttpServer({ core, status: database.status, metrics, vitals, api });
    active.push((lingerMs) => server.stop(lingerMs));
    const port = await server.listen();
    settings.port = port;
    const address = `http://${settings.host.includes(':') ? `[${settings.host}]` : settings.host}:${port}`;
    settings.publicUrl ??= address;
    return { core, url: address, stop };
  } catch (error) {
    await stop();
    throw error;
  }
}

async function openApi(core: Core, feed: EventFeed, stops: (() => unknown)[]): Promise<ApiParts> {
  const graph = await createGraph(core, await buildParleySchema());
  stops.push(() => graph.stop());
  const live = createLive(core, graph, feed);
  stops.push(() => live.stop());
  const restRoutes = compileRows(graph, allRows, samples);
  return {
    graph,
    live,
    restRoutes,
    openApi: () => JSON.stringify(openApiOf(restRoutes, core.settings.version)),
    webDir: join(dirname(fileURLToPath(import.meta.url)), '../dist/web'),
  };
}

async function openedDatabaseUrl(settings: Settings, log: Logger, stops: (() => unknown)[]): Promise<string> {
  if (settings.databaseUrl) return settings.databaseUrl;
  const embedded = await startEmbedded({ dataDir: settings.dataDir, log });
  stops.push(() => embedded.stop());
  return embedded.url;
}

/** Lines that wait for room on a full disk; past it they are dropped. */
const maxLogBytes = 1_000_000;

function createLog(settings: Settings): Logger {
  const destination = pino.destination({ dest: process.stdout.fd, sync: true, maxLength: maxLogBytes });
  // Without a listener a line that cannot be written would end the process.
  destination.on('error', () => undefined);
  return pino(
    {
      level: settings.logLevel,
      base: undefined,
      timestamp: pino.stdTimeFunctions.isoTime,
      redact: [
        'authorization',
        '*.authorization',
        'token',
        '*.token',
        '*.password',
        'headers["x-airy-content-signature"]',
      ],
    },
    destination,
  );
}

/** npm hands on what was sent to the whole group already: a signal that comes again within so much is the same one. */
const sameSignalMs = { SIGINT: 1_000, SIGTERM: 100 };

/** `npm start`: starts by the environment and ends on SIGTERM or Ctrl-C; a second signal ends at once. */
export async function serve(): Promise<void> {
  const settings = readSettings();
  let parley: Parley;
  try {
    parley = await start(settings);
  } catch (error) {
    endWith(startFault(error, settings));
  }
  const { core, url } = parley;
  if (settings.role === 'worker') core.log.info({ url: url || undefined }, 'the worker runs');
  else announce(core, url);
  let stoppingSince: number | undefined;
  const stop = (signal: keyof typeof sameSignalMs, lingerMs: number) => {
    const now = performance.now();
    if (stoppingSince !== undefined && now - stoppingSince < sameSignalMs[signal]) return;
    if (stoppingSince !== undefined) process.exit(1);
    stoppingSince = now;
    core.log.info({ signal }, 'stopping');
    // A part that hangs must not keep the process: what is durable is durable.
    setTimeout(() => process.exit(1), 15_000).unref();
    parley.stop(lingerMs).then(
      () => process.exit(0),
      (error: unknown) => {
        core.log.error({ err: error }, 'stopping failed');
        process.exit(1);
      },
    );
  };
  // A supervisor's balancer has to hear of it; whoever pressed Ctrl-C has heard.
  process.on('SIGTERM', () => stop('SIGTERM', 500));
  process.on('SIGINT', () => stop('SIGINT', 0));
}

function announce({ settings }: Core, url: string): void {
  if (settings.isProduction) return;
  // As for the log: nobody needs to read it.
  process.stdout.on('error', () => undefined);
  process.stdout.write(`
  Parley is ready.

    API        ${url}/graphql
    GraphiQL   ${url}/graphiql
    REST docs  ${url}/docs
    Health     ${url}/health/ready

  Next: open GraphiQL and sign up, the first account is the administrator.
  With its token (export PARLEY_TOKEN=...) in another terminal:

    npm run parley -- demo --live        200 conversations, and new messages as they come
    npm run parley -- events tail        watch them arrive
${settings.port === 4000 ? '' : `\n  Tell the commands where it is: export PARLEY_URL=${url}\n`}
`);
}

function readSettings(): Settings {
  try {
    return loadSettings(process.env);
  } catch (error) {
    if (error instanceof SettingsFault) endWith(error.message);
    throw error;
  }
}

// One line that names the setting to look at; never the value of a secret.
function startFault(error: unknown, settings: Settings): string {
  const { code, hostname, message } = error as { code?: string; hostname?: string; message: string };
  if (code === 'EADDRINUSE')
    return `PORT ${settings.port} on ${settings.host} is taken: set another PORT, or end what listens there.`;
  if (code === 'EADDRNOTAVAIL' || (code === 'ENOTFOUND' && hostname === settings.host)) {
    return `HOST ${settings.host} is no address of this machine.`;
  }
  if (code === 'EACCES' && settings.port < 1024)
    return `PORT ${settings.port} may not be opened by this user: set a PORT from 1024 up.`;
  if (settings.databaseUrl && (isDatabaseFault(error) || error instanceof DatabaseIsNewer))
    return `DATABASE_URL does not lead to a usable database: ${message}`;
  return message;
}

function isDatabaseFault(error: unknown): boolean {
  const { code, message } = error as { code?: string; message: string };
  return /^(ECONN|ENOTFOUND|EAI_|28|3D|08|57)/.test(code ?? '') || /connect|timeout/i.test(message);
}

function endWith(message: string): never {
  process.stderr.write(`${message}\n`);
  process.exit(1);
}

// For commands that open the database without serving.
async function withDatabase<T>(
  work: (opened: { url: string; settings: Settings; log: Logger }) => Promise<T>,
): Promise<T> {
  const settings = loadSettings(process.env);
  const log = createLog({ ...settings, logLevel: process.env.LOG_LEVEL ? settings.logLevel : 'warn' });
  const stops: (() => unknown)[] = [];
  try {
    return await work({ url: await openedDatabaseUrl(settings, log, stops), settings, log });
  } finally {
    for (const stop of stops) await stop();
  }
}

/** `parley migrate up` and `parley migrate status`: lines to print. */
export function migrate(action: 'up' | 'status'): Promise<string[]> {
  return withDatabase(async ({ url, log }) => {
    if (action === 'up') {
      const done = await migrateUp({ url, log });
      return done.length === 0
        ? ['Nothing to do: the database is at the newest step.']
        : done.map((name) => `applied  ${name}`);
    }
    const { executed, pending, unknown } = await migrationStatus({ url });
    return [
      ...executed.map((name) => `applied  ${name}`),
      ...pending.map((name) => `pending  ${name}`),
      ...unknown.map((name) => `unknown  ${name} (of a newer version)`),
    ];
  });
}

/** `parley doctor`: what it found, line by line. What remains to be done; undefined when all is well, or was mended. */
export function doctor({ repair, say }: { repair: boolean; say: (line: string) => void }): Promise<string | undefined> {
  return withDatabase(async ({ url }) => {
    const { pending } = await migrationStatus({ url });
    if (pending.length > 0) {
      say(`WRONG   migrations: ${pending.length} of them are missing`);
      return 'Run parley migrate up first.';
    }
    say('ok      migrations');
    let isSound = true;
    for await (const { name, faults, count, isMended } of examine(url, keptChecks, repair)) {
      isSound &&= count === 0 || isMended;
      say(`${count === 0 ? 'ok    ' : isMended ? 'MENDED' : 'WRONG '}  ${name}`);
      for (const fault of faults) say(`          ${fault}`);
      if (count > faults.length) say(`          and ${count - faults.length} more`);
    }
    if (isSound) return undefined;
    return repair ? 'Not all of it could be mended: run it again.' : 'Run it with --repair to mend that.';
  });
}

/** `parley user create`. */
export function createUser(input: NewUser & { role: Role }): Promise<{ id: string }> {
  return withDatabase(async ({ url, settings, log }) => {
    await migrateUp({ url, log });
    const database = await openDatabase({ url, entities, settings, log });
    try {
      const outbound = createOutboundHttp({ allow: [] });
      const silent = { hint: () => undefined, onHint: () => () => undefined };
      const core: Core = {
        settings,
        log,
        em: database.em,
        sql: database.sql,
        wakeups: silent,
        outbound,
        mailer: createMailer(settings, log),
        meter: silentMeter,
        legacyCalls: noLegacyCalls,
        background: new Set(),
        now: () => new Date(),
      };
      const { id } = await createUserAccount(systemCtx(core, 'user-create'), input);
      await outbound.close();
      return { id };
    } finally {
      await database.close();
    }
  });
}

if (process.argv[1] === fileURLToPath(import.meta.url)) await serve();

import type { EntityManager } from '@mikro-orm/postgresql';
import type { Logger } from 'pino';
import type { Mailer } from './mail.ts';
import type { Meter } from './meter.ts';
import type { OutboundHttp } from './outbound-http.ts';
import type { RequestReads } from './request-reads.ts';

export type Role = 'ADMIN' | 'AGENT';

/** SECRET for back ends (`sk_`), PUBLIC for apps that everybody can read (`pk_`), ENDPOINT for App endpoints (`ak_`). */
export type ApiKeyKind = 'SECRET' | 'PUBLIC' | 'ENDPOINT';

/** What a secret key may do, each more than the one before it: SUPPORT, EDITOR, ADMIN. */
export type ApiKeyRole = 'SUPPORT' | 'EDITOR' | 'ADMIN';

/** Who asks. Made by the one authentication function from the Authorization header, never from arguments. */
export type Principal =
  | { kind: 'anonymous' }
  | { kind: 'user'; userId: string; role: Role; tokenVersion: number; expiresAt: Date }
  | { kind: 'source'; sourceId: string; sourceName: string }
  | {
      kind: 'apiKey';
      keyId: string;
      keyName: string;
      keyKind: ApiKeyKind;
      role: ApiKeyRole;
      variables: Record<string, unknown>;
    }
  /** Whoever has the link of a journey: the contact, or whom the contact gave it. */
  | { kind: 'journey'; journeyId: string; conversationId: string; expiresAt: Date }
  /** Our own background work. */
  | { kind: 'system' };

/** Wakes other processes, and this one, after a commit. A hint may be lost: whoever waits looks by itself each second. */
export interface Wakeups {
  hint(topic: WakeupTopic): void;
  /** @returns a function that ends the listening */
  onHint(topic: WakeupTopic, listener: () => void): () => void;
}

export type WakeupTopic = 'event' | 'lane';

/** A call of an older contract, and the root field that it runs. */
export interface LegacyRow {
  name: string;
  field: string;
}

/** Counts who still makes which call of the older contracts. */
export interface LegacyCalls {
  /** Counted in memory and written every few seconds: a call waits for nothing. */
  note(row: LegacyRow, principal: Principal): void;
  /** Writes what was counted. */
  flush(): Promise<void>;
  stop(): Promise<void>;
}

/** What health says of the database. */
export interface DatabaseStatus {
  /** True when it answers within a second and the migrations are at the newest. */
  isReady(): Promise<boolean>;
}

/** The settings as the program uses them: names in camelCase, defaults that depend on others filled in. */
export interface Settings {
  host: string;
  port: number;
  /** Undefined: the embedded database. */
  databaseUrl?: string;
  dbPool: number;
  dataDir: string;
  jwtSecret: string;
  secretsKey: string;
  isProduction: boolean;
  role: 'all' | 'gateway' | 'worker';
  /** Whether PORT was given: a worker listens only then. */
  isPortGiven: boolean;
  signupMode: 'open' | 'invite' | 'closed';
  signupRole: 'ADMIN' | 'AGENT';
  passwordMinLength: number;
  outboundAllow: string[];
  trustProxy: boolean;
  corsOrigins: string[];
  /** Without a slash at the end; undefined until the port is known. */
  publicUrl?: string;
  smtpUrl?: string;
  mailFrom: string;
  logLevel: string;
  /** Where spans go; undefined: nowhere. */
  otlpEndpoint?: string;
  eventRetentionMs: number;
  retryTimeScale: number;
  introspection: boolean;
  /** Of Parley itself. */
  version: string;
}

/** A text with `$1`, `$2` for its values. It is prepared, so values must not stand in it. */
export interface Statement {
  sql: string;
  parameters: readonly unknown[];
  /** Hardly comes again: it is planned by its values and not prepared. */
  isOneOff?: true;
}

/** The shortest way to the database, for what comes most often. */
export interface Sql {
  /** One statement, a transaction of its own. */
  /** @param count is called with the bytes of the answer */
  run<Row>(statement: Statement, count?: (bytes: number) => void): Promise<Row[]>;
  /**
   * Several in one transaction, sent together: each sees what the ones before it did and waited for, and all fail when one
   * fails. The rows of each.
   */
  runTogether(statements: readonly Statement[]): Promise<unknown[][]>;
  /**
   * A transaction whose statements go out in groups; the first takes the begin with it. Commits when the work is done, rolls
   * back when it throws.
   */
  inFlights<T>(work: (flights: Flights) => Promise<T>): Promise<T>;
}

/** The groups of a transaction: sent in one write, each answered with the rows of its statements. */
export interface Flights {
  send(statements: readonly Statement[]): Promise<unknown[][]>;
  /**
   * The last group, which takes the commit with it: what is wrong with its rows the statements must say themselves. Its
   * values are texts, numbers, booleans or null: one that the driver could not write would leave its statement out.
   */
  sendLast(statements: readonly Statement[]): Promise<unknown[][]>;
}

/** What lives as long as the process; wired once in main.ts. */
export interface Core {
  settings: Settings;
  log: Logger;
  /** The root entity manager: fork it, never use it for a request. */
  em: EntityManager;
  sql: Sql;
  wakeups: Wakeups;
  outbound: OutboundHttp;
  mailer: Mailer;
  meter: Meter;
  legacyCalls: LegacyCalls;
  /** Work that goes on after its answer; the stop waits for it. */
  background: Set<Promise<unknown>>;
  /** The clock of domain decisions; tests move it. Leases and schedules use the database's clock instead. */
  now(): Date;
}

/** What lives as long as one request or job. First argument of every service function. */
export interface Ctx {
  core: Core;
  principal: Principal;
  em: EntityManager;
  /** In answers, errors and logs. */
  requestId: string;
  /** The caller's network address, for throttles. */
  address: string;
  /** Of a request from outside: bounds what it reads. */
  reads?: RequestReads;
  now(): Date;
}

export interface Caller {
  principal: Principal;
  requestId: string;
  address: string;
}

/** The context of one request. Its entity manager is made when it is first used: the most frequent reads do without. */
export class RequestCtx implements Ctx {
  readonly core: Core;
  readonly principal: Principal;
  readonly requestId: string;
  readonly address: string;
  #em: EntityManager | undefined;

  constructor(core: Core, { principal, requestId, address }: Caller) {
    this.core = core;
    this.principal = principal;
    this.requestId = requestId;
    this.address = address;
  }

  get em(): EntityManager {
    this.#em ??= this.core.em.fork();
    return this.#em;
  }

  now(): Date {
    return this.core.now();
  }
}

export function createCtx(core: Core, caller: Caller): Ctx {
  return new RequestCtx(core, caller);
}

/** The same request with another entity manager: that of a transaction. */
export function withEm(ctx: Ctx, em: EntityManager): Ctx {
  const { core, principal, requestId, address } = ctx;
  return { core, principal, requestId, address, em, now: () => ctx.now() };
}

/** The context of a job. */
export function systemCtx(core: Core, requestId: string): Ctx {
  return createCtx(core, { principal: { kind: 'system' }, requestId, address: 'internal' });
}

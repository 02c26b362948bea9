import { randomBytes } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { isIP } from 'node:net';
import { join, resolve } from 'node:path';
import { Duration } from 'luxon';
import { z } from 'zod';
import type { Settings } from './domain/context.ts';

/** One line of the table that README, `.env.example` and the check at start are made from. */
interface Setting<T> {
  /** What it does, in one sentence, for the operator. */
  about: string;
  /** How the default reads in the table. */
  shown: string;
  schema: z.ZodType<T>;
  secret?: true;
}

const text = z.string().trim();
const list = text.transform((value) => value.split(',').flatMap((part) => part.trim() || []));
const onOff = z
  .enum(['on', 'off', 'true', 'false', '1', '0'], 'must be on or off')
  .transform((value) => value === 'on' || value === 'true' || value === '1');
const wholeNumber = (min: number, max: number) =>
  z.coerce
    .number(`must be a whole number from ${min} to ${max}`)
    .pipe(
      z
        .int(`must be a whole number from ${min} to ${max}`)
        .min(min, `must be at least ${min}`)
        .max(max, `must be at most ${max}`),
    );
const secret = text.min(32, 'must be at least 32 characters');
const httpOrigin = z
  .url({ protocol: /^https?$/, error: 'must be an http or https address' })
  .transform((value) => value.replace(/\/+$/, ''));
const duration = text.transform((value, check) => {
  const parsed = Duration.fromISO(value);
  if (parsed.isValid && parsed.toMillis() > 0) return parsed.toMillis();
  check.addIssue({ code: 'custom', message: 'must be an ISO 8601 duration such as P7D' });
  return z.NEVER;
});
const origins = list.superRefine((entries, check) => {
  for (const entry of entries) {
    if (URL.canParse(entry) && new URL(entry).origin === entry) continue;
    check.addIssue({ code: 'custom', message: `"${entry}" is no origin such as https://inbox.example.com` });
  }
});
const allowed = list.superRefine((entries, check) => {
  for (const entry of entries) {
    if (isOutboundAllowEntry(entry)) continue;
    check.addIssue({ code: 'custom', message: `"${entry}" is neither host:port nor a CIDR such as 10.0.0.0/8` });
  }
});

function isOutboundAllowEntry(entry: string): boolean {
  const cidr = /^(.+)\/(\d{1,3})$/.exec(entry);
  if (cidr) return isIP(cidr[1]!) !== 0 && Number(cidr[2]) <= (isIP(cidr[1]!) === 4 ? 32 : 128);
  const port = /^(\[[^\]]+\]|[^:\s/]+):(\d{1,5})$/.exec(entry);
  return port !== null && Number(port[2]) >= 1 && Number(port[2]) <= 65_535;
}

function setting<T>(about: string, shown: string, schema: z.ZodType<T>, secretOne?: true): Setting<T> {
  return { about, shown, schema, ...(secretOne && { secret: secretOne }) };
}

/** Every setting: name, default, check. What is not listed is not read. */
export const settingTable = {
  HOST: setting('Address the server listens on.', '127.0.0.1', text.default('127.0.0.1')),
  PORT: setting(
    'Port of the server; 0 takes a free one. A worker listens only where it is set.',
    '4000',
    wholeNumber(0, 65_535).default(4000),
  ),
  DATABASE_URL: setting(
    'PostgreSQL to use; unset starts the embedded one. Required in production.',
    '(embedded)',
    z
      .url({
        protocol: /^postgres(ql)?$/,
        error: 'must be an address such as postgres://user:password@host:5432/parley',
      })
      .optional(),
    true,
  ),
  DB_POOL: setting('Database connections of one process.', '10', wholeNumber(2, 500).default(10)),
  DATA_DIR: setting(
    'Folder of the embedded database, generated secrets, written mails and import positions.',
    'data',
    text
      .min(1)
      .default('data')
      .transform((value) => resolve(value)),
  ),
  JWT_SECRET: setting(
    'Key that tokens are signed with, at least 32 characters; made and kept in DATA_DIR when unset. Required in production.',
    '(made)',
    secret.optional(),
    true,
  ),
  SECRETS_KEY: setting(
    'Key that stored secrets are encrypted with, at least 32 characters; made and kept in DATA_DIR when unset. Required in production.',
    '(made)',
    secret.optional(),
    true,
  ),
  NODE_ENV: setting(
    'production switches the strict profile on.',
    'development',
    z.enum(['development', 'test', 'production'], 'must be development, test or production').default('development'),
  ),
  ROLE: setting(
    'What this process does: everything (all), only the API (gateway), or only the background work (worker).',
    'all',
    z.enum(['all', 'gateway', 'worker'], 'must be all, gateway or worker').default('all'),
  ),
  SIGNUP_MODE: setting(
    'Who may sign up: anyone (open), who was invited (invite), or nobody (closed). `parley user create` makes people in any case.',
    'open (production: invite)',
    z.enum(['open', 'invite', 'closed'], 'must be open, invite or closed').optional(),
  ),
  SIGNUP_ROLE: setting(
    'Role of people who sign up after the first, who is ADMIN: ADMIN or AGENT.',
    'ADMIN on a loopback HOST, else AGENT',
    z.enum(['ADMIN', 'AGENT'], 'must be ADMIN or AGENT').optional(),
  ),
  PASSWORD_MIN_LENGTH: setting('Shortest password taken, in bytes.', '6', wholeNumber(6, 1024).default(6)),
  OUTBOUND_ALLOW: setting(
    'Comma list of host:port or CIDR inside private networks that may be called.',
    '(none)',
    allowed.default([]),
  ),
  TRUST_PROXY: setting('Take the client address from X-Forwarded-For (on or off).', 'off', onOff.default(false)),
  CORS_ORIGINS: setting('Comma list of origins whose pages may call the API.', '(none)', origins.default([])),
  PUBLIC_URL: setting(
    'Address under which clients reach this server: used in mails, and the one other name that is answered to while HOST is loopback.',
    'http://HOST:PORT',
    httpOrigin.optional(),
  ),
  SMTP_URL: setting(
    'Mail server, such as smtp://user:password@host:587; unset writes mails to DATA_DIR/mail.',
    '(files)',
    z.url({ protocol: /^smtps?$/, error: 'must be an address such as smtp://user:password@host:587' }).optional(),
    true,
  ),
  MAIL_FROM: setting(
    'Sender of mails.',
    'Parley <parley@localhost>',
    text.min(3, 'must be an address such as Parley <parley@example.com>').default('Parley <parley@localhost>'),
  ),
  LOG_LEVEL: setting(
    'Least level that is logged: fatal, error, warn, info, debug, trace or silent.',
    'info',
    z
      .enum(
        ['fatal', 'error', 'warn', 'info', 'debug', 'trace', 'silent'],
        'must be fatal, error, warn, info, debug, trace or silent',
      )
      .default('info'),
  ),
  EVENT_RETENTION: setting(
    'How long events stay replayable (ISO 8601 duration).',
    'P7D',
    duration.default(7 * 86_400_000),
  ),
  RETRY_TIME_SCALE: setting(
    'Factor on retry and throttle waits; only 1 in production.',
    '1',
    z.coerce.number('must be a number').positive('must be above 0').default(1),
  ),
  OTEL_EXPORTER_OTLP_ENDPOINT: setting(
    'Where spans are sent (OTLP over HTTP), such as http://127.0.0.1:4318; unset sends none. Needs a package, see docs/operations.md.',
    '(none)',
    httpOrigin.optional(),
  ),
  INTROSPECTION: setting(
    'Whether GraphQL tells its schema to everybody (on or off); admins may always ask.',
    'on (production: off)',
    onOff.optional(),
  ),
} satisfies Record<string, Setting<unknown>>;

type Table = typeof settingTable;
type Read = { [K in keyof Table]: Table[K] extends Setting<infer T> ? T : never };

/** All faults of the environment at once, one line each; no value of a secret is in it. */
export class SettingsFault extends Error {
  constructor(lines: string[]) {
    super(`These settings need a change:\n${lines.map((line) => `  ${line}`).join('\n')}`);
  }
}

/**
 * Reads and checks the environment. Secrets that are unset are made once and kept in `DATA_DIR/secrets.json` (mode
 * 0600), except in production, where they must be given.
 *
 * @throws SettingsFault listing every fault
 */
export function loadSettings(env: NodeJS.ProcessEnv): Settings {
  const faults: string[] = [];
  const read: Record<string, unknown> = {};
  for (const [name, { schema }] of Object.entries(settingTable)) {
    const given = env[name]?.trim() ? env[name] : undefined;
    const result = schema.safeParse(given);
    if (result.success) read[name] = result.data;
    else faults.push(`${name} ${result.error.issues[0]?.message ?? 'is not valid'}`);
  }
  const values = read as Read;
  const isProduction = values.NODE_ENV === 'production';
  if (isProduction) {
    for (const name of ['DATABASE_URL', 'JWT_SECRET', 'SECRETS_KEY'] as const) {
      if (!env[name]?.trim()) faults.push(`${name} is required in production`);
    }
    if (values.RETRY_TIME_SCALE !== undefined && values.RETRY_TIME_SCALE !== 1)
      faults.push('RETRY_TIME_SCALE must be 1 in production');
    if (values.JWT_SECRET && values.JWT_SECRET === values.SECRETS_KEY)
      faults.push('SECRETS_KEY must differ from JWT_SECRET');
  }
  if (faults.length > 0) throw new SettingsFault(faults);

  const isLoopback = ['127.0.0.1', '::1', 'localhost'].includes(values.HOST);
  const secrets = values.JWT_SECRET && values.SECRETS_KEY ? undefined : keptSecrets(values.DATA_DIR);
  return {
    host: values.HOST,
    port: values.PORT,
    isPortGiven: Boolean(env.PORT?.trim()),
    databaseUrl: values.DATABASE_URL,
    dbPool: values.DB_POOL,
    dataDir: values.DATA_DIR,
    jwtSecret: values.JWT_SECRET ?? secrets!.jwtSecret,
    secretsKey: values.SECRETS_KEY ?? secrets!.secretsKey,
    isProduction,
    role: values.ROLE,
    signupMode: values.SIGNUP_MODE ?? (isProduction ? 'invite' : 'open'),
    signupRole: values.SIGNUP_ROLE ?? (isLoopback ? 'ADMIN' : 'AGENT'),
    passwordMinLength: values.PASSWORD_MIN_LENGTH,
    outboundAllow: values.OUTBOUND_ALLOW,
    trustProxy: values.TRUST_PROXY,
    corsOrigins: values.CORS_ORIGINS,
    publicUrl: values.PUBLIC_URL,
    smtpUrl: values.SMTP_URL,
    mailFrom: values.MAIL_FROM,
    logLevel: values.LOG_LEVEL,
    otlpEndpoint: values.OTEL_EXPORTER_OTLP_ENDPOINT,
    eventRetentionMs: values.EVENT_RETENTION,
    retryTimeScale: values.RETRY_TIME_SCALE,
    introspection: values.INTROSPECTION ?? !isProduction,
    version: parleyVersion(),
  };
}

/** Of the package that runs. */
export function parleyVersion(): string {
  const file = new URL('../package.json', import.meta.url);
  return (JSON.parse(readFileSync(file, 'utf8')) as { version: string }).version;
}

interface KeptSecrets {
  jwtSecret: string;
  secretsKey: string;
}

function keptSecrets(dataDir: string): KeptSecrets {
  try {
    return readKeptSecrets(dataDir);
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    if (code === undefined) throw error;
    throw new SettingsFault([`DATA_DIR cannot be used for the secrets that are made for you: ${message}`]);
  }
}

// The folder must let the database's own user pass (0711); the file itself is for us alone.
function readKeptSecrets(dataDir: string): KeptSecrets {
  const file = join(dataDir, 'secrets.json');
  if (!existsSync(file)) {
    mkdirSync(dataDir, { recursive: true, mode: 0o711 });
    const made: KeptSecrets = {
      jwtSecret: randomBytes(32).toString('hex'),
      secretsKey: randomBytes(32).toString('hex'),
    };
    try {
      writeFileSync(file, `${JSON.stringify(made)}\n`, { mode: 0o600, flag: 'wx' });
    } catch (error) {
      // Two processes of one DATA_DIR may start together: the first one's secrets count.
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
    }
  }
  return JSON.parse(readFileSync(file, 'utf8')) as KeptSecrets;
}

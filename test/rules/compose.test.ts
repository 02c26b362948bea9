import { readFileSync } from 'node:fs';
import { describe, expect, it } from '@jest/globals';
import { parse } from 'yaml';
import { loadSettings, SettingsFault, settingTable } from '../../src/config.ts';

interface Service {
  environment: Record<string, string>;
  depends_on?: Record<string, { condition: string }>;
  healthcheck?: { test: string[] };
  ports?: string[];
  volumes?: string[];
  image?: string;
  user?: string;
}

const read = (name: string) => readFileSync(new URL(`../../${name}`, import.meta.url), 'utf8');
const compose = parse(read('docker-compose.yml')) as {
  services: { gateway: Service; postgres: Service };
  volumes: Record<string, unknown>;
};
const { gateway, postgres } = compose.services;
const given = gateway.environment;

/** What the gateway would see: `${NAME}`, `${NAME:-default}` and `${NAME:?message}` as compose fills them in. */
function filledIn(environment: Record<string, string>, outside: Record<string, string>): Record<string, string> {
  const fill = (text: string) =>
    text.replace(/\$\{(\w+)(?::([-?])([^}]*))?\}/g, (_all, name: string, kind?: string, rest?: string) => {
      const value = outside[name];
      if (value) return value;
      if (kind === '?') throw new Error(`${name}: ${rest}`);
      return rest ?? '';
    });
  return Object.fromEntries(Object.entries(environment).map(([name, value]) => [name, fill(value)]));
}

/** What the gateway itself refuses to start without in production. */
function requiredInProduction(): string[] {
  try {
    loadSettings({ NODE_ENV: 'production' });
  } catch (error) {
    if (error instanceof SettingsFault)
      return [...error.message.matchAll(/(\w+) is required in production/g)].map((m) => m[1]!);
  }
  return [];
}

const secrets = { POSTGRES_PASSWORD: 'p'.repeat(32), JWT_SECRET: 'j'.repeat(32), SECRETS_KEY: 's'.repeat(32) };

describe('docker-compose.yml', () => {
  it.each(Object.keys(given))('sets %s, which the gateway reads', (name) => {
    expect(Object.keys(settingTable)).toContain(name);
  });

  it('sets everything that production requires', () => {
    const required = requiredInProduction();
    expect(required).toEqual(expect.arrayContaining(['DATABASE_URL', 'JWT_SECRET', 'SECRETS_KEY']));
    expect(Object.keys(given)).toEqual(expect.arrayContaining(required));
  });

  it('starts the gateway in the strict profile once the secrets are given', () => {
    const settings = loadSettings(filledIn(given, secrets));
    expect(settings).toMatchObject({ isProduction: true, host: '0.0.0.0', port: 4000, signupMode: 'invite' });
    expect(settings.introspection).toBe(false);
    expect(new URL(settings.databaseUrl!)).toMatchObject({ hostname: 'postgres', password: secrets.POSTGRES_PASSWORD });
  });

  it.each(Object.keys(secrets))('does not start without %s', (name) => {
    expect(() => filledIn(given, { ...secrets, [name]: '' })).toThrow(name);
  });

  it('holds no secret itself', () => {
    const secretNames = Object.entries(settingTable)
      .filter(([, setting]) => 'secret' in setting && setting.secret)
      .map(([name]) => name);
    for (const name of secretNames) if (given[name] !== undefined) expect(given[name]).toMatch(/\$\{/);
    expect(postgres.environment.POSTGRES_PASSWORD).toMatch(/^\$\{POSTGRES_PASSWORD:\?/);
    expect(given.DATABASE_URL).toMatch(/:\$\{POSTGRES_PASSWORD:\?[^}]+\}@/);
  });

  it('waits for a database that answers, and keeps what it stores', () => {
    expect(gateway.depends_on).toEqual({ postgres: { condition: 'service_healthy' } });
    expect(postgres.image).toMatch(/^postgres:18\b/);
    expect(postgres.healthcheck?.test).toEqual(expect.arrayContaining(['pg_isready', '127.0.0.1']));
    const mounted = [...(gateway.volumes ?? []), ...(postgres.volumes ?? [])].map((volume) => volume.split(':')[0]);
    expect(mounted.sort()).toEqual(Object.keys(compose.volumes).sort());
    expect(postgres.volumes).toContain('postgres:/var/lib/postgresql');
  });

  it('opens one port, to this machine only', () => {
    expect(postgres.ports).toBeUndefined();
    expect(gateway.ports).toHaveLength(1);
    expect(gateway.ports?.[0]).toMatch(/^127\.0\.0\.1:/);
  });

  it('runs nobody as root by its own doing', () => {
    expect([gateway.user, postgres.user]).toEqual([undefined, undefined]);
  });
});

describe('Dockerfile', () => {
  const stages = read('Dockerfile')
    .replace(/\\\n/g, ' ')
    .split(/^FROM /m)
    .slice(1);
  const image = stages
    .at(-1)!
    .split('\n')
    .filter((line) => line.trim() !== '' && !line.startsWith('#'));
  const lineOf = (word: string) => image.findIndex((line) => line.startsWith(`${word} `));

  it('runs on the official Node 24 in every stage', () => {
    for (const stage of stages) expect(stage).toMatch(/^node:24[\w.-]*( |\n)/);
  });

  it('ends as a user who is not root and owns nothing of the program', () => {
    expect(image[lineOf('USER')]).toBe('USER node');
    expect(image.findLastIndex((line) => /^(COPY|RUN) /.test(line))).toBeLessThan(lineOf('USER'));
    expect(image.filter((line) => line.startsWith('COPY') && line.includes('--chown'))).toEqual([]);
  });

  it('starts the gateway as the process that gets the signals, and asks it whether it is ready', () => {
    const start = JSON.parse(image[lineOf('CMD')]!.slice('CMD '.length)) as string[];
    expect(start).toEqual(['/usr/local/bin/node', '--max-semi-space-size=4', 'dist/main.js']);
    expect(image[lineOf('HEALTHCHECK')]).toMatch(/\/health\/ready/);
  });

  it('sends neither secrets nor data to the engine', () => {
    const rules = read('.dockerignore')
      .split('\n')
      .filter((line) => line !== '' && !line.startsWith('#'));
    expect(rules[0]).toBe('*');
    expect(rules.filter((rule) => /\.env|data|node_modules|\.git\b/.test(rule))).toEqual([]);
  });
});

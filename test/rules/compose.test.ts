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
  build?: { target: string };
  profiles?: string[];
  network_mode?: string;
  configs?: { source: string; target: string }[];
}

const read = (name: string) => readFileSync(new URL(`../../${name}`, import.meta.url), 'utf8');
const compose = parse(read('docker-compose.yml')) as {
  services: { gateway: Service; postgres: Service; prometheus: Service };
  configs: { prometheus: { content: string } };
  volumes: Record<string, unknown>;
};
const { gateway, postgres, prometheus } = compose.services;
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
    const mounted = Object.values(compose.services).flatMap(({ volumes = [] }) =>
      volumes.map((volume) => volume.split(':')[0]),
    );
    expect(mounted.sort()).toEqual(Object.keys(compose.volumes).sort());
    expect(postgres.volumes).toContain('postgres:/var/lib/postgresql');
  });

  it('opens the ports of the gateway and of Prometheus, to this machine only', () => {
    expect(postgres.ports).toBeUndefined();
    expect(gateway.ports?.map((port) => port.split(':').at(-1))).toEqual(['4000', '9090']);
    for (const port of gateway.ports ?? []) expect(port).toMatch(/^127\.0\.0\.1:/);
  });

  it('runs nobody as root by its own doing', () => {
    expect(Object.values(compose.services).map(({ user }) => user)).toEqual([undefined, undefined, undefined]);
  });

  it('lets Prometheus ask from the machine itself, where it needs no token, and only when it is wanted', () => {
    expect([gateway.profiles, postgres.profiles]).toEqual([undefined, undefined]);
    expect(prometheus).toMatchObject({ profiles: ['observe'], network_mode: 'service:gateway' });
    expect(prometheus.image).toMatch(/^prom\/prometheus:v\d+\.\d+\.\d+$/);
    expect(prometheus.configs).toEqual([{ source: 'prometheus', target: '/etc/prometheus/prometheus.yml' }]);
    const { scrape_configs } = parse(compose.configs.prometheus.content) as {
      scrape_configs: { static_configs: { targets: string[] }[]; metrics_path?: string }[];
    };
    expect(scrape_configs.flatMap(({ static_configs }) => static_configs.flatMap(({ targets }) => targets))).toEqual([
      `127.0.0.1:${given.PORT}`,
    ]);
    expect(scrape_configs.map(({ metrics_path }) => metrics_path ?? '/metrics')).toEqual(['/metrics']);
  });
});

describe('Dockerfile', () => {
  const stages = read('Dockerfile')
    .replace(/\\\n/g, ' ')
    .split(/^FROM /m)
    .slice(1)
    .map((text) => {
      const [first = '', ...lines] = text.split('\n').filter((line) => line.trim() !== '' && !line.startsWith('#'));
      const [from, name] = first.split(' AS ');
      return { from, name, lines };
    });
  const stage = (name: string) => stages.find((one) => one.name === name)!;
  const image = stage('program').lines;
  const lineOf = (word: string) => image.findIndex((line) => line.startsWith(`${word} `));

  it('runs on the official Node 24 in every stage', () => {
    const names = stages.map(({ name }) => name);
    for (const { from } of stages) if (!names.includes(from)) expect(from).toMatch(/^node:24[\w.-]*$/);
  });

  it('is the gateway by default, and with the SDK of OpenTelemetry the same program under another target', () => {
    expect(stages.at(-1)!.name).toBe(gateway.build!.target.replace(/^\$\{GATEWAY_TARGET:-(\w+)\}$/, '$1'));
    for (const [name, packages] of [
      ['gateway', 'packages'],
      ['tracing', 'packages-tracing'],
    ] as const) {
      expect(stage(name).from).toBe('program');
      expect(stage(name).lines).toEqual([`COPY --from=${packages} /app/node_modules ./node_modules`]);
    }
    const { devDependencies } = JSON.parse(read('package.json')) as { devDependencies: Record<string, string> };
    const sdk = '@opentelemetry/sdk-node';
    expect(stage('packages-tracing').lines[0]).toContain(` ${sdk}@${devDependencies[sdk]} `);
  });

  it('ends as a user who is not root and owns nothing of the program', () => {
    expect(image[lineOf('USER')]).toBe('USER node');
    expect(image.findLastIndex((line) => /^(COPY|RUN) /.test(line))).toBeLessThan(lineOf('USER'));
    expect(stages.flatMap(({ lines }) => lines.filter((line) => /^COPY .*--chown/.test(line)))).toEqual([]);
  });

  it('starts the gateway as the process that gets the signals, and asks it whether it is ready', () => {
    const start = JSON.parse(image[lineOf('CMD')]!.slice('CMD '.length)) as string[];
    expect(start).toEqual([
      '/usr/local/bin/node',
      '--max-semi-space-size=4',
      '--heap-growing-percent=180',
      'dist/main.js',
    ]);
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

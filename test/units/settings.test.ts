import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from '@jest/globals';
import { loadSettings, SettingsFault } from '../../src/config.ts';

const folder = mkdtempSync(join(tmpdir(), 'parley-settings-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const secrets = { JWT_SECRET: 'j'.repeat(32), SECRETS_KEY: 's'.repeat(32) };
const load = (env: Record<string, string>) => loadSettings({ DATA_DIR: folder, ...secrets, ...env });

function faultsOf(env: Record<string, string>): string[] {
  try {
    load(env);
    return [];
  } catch (error) {
    if (!(error instanceof SettingsFault)) throw error;
    return error.message
      .split('\n')
      .slice(1)
      .map((line) => line.trim());
  }
}

describe('the settings', () => {
  it.each<[string, string, RegExp]>([
    ['PORT', '70000', /at most 65535/],
    ['PORT', '4000.5', /whole number/],
    ['DB_POOL', '1', /at least 2/],
    ['DATABASE_URL', 'mysql://127.0.0.1/parley', /postgres:\/\//],
    ['NODE_ENV', 'staging', /development, test or production/],
    ['ROLE', 'both', /all, gateway or worker/],
    ['TRUST_PROXY', 'perhaps', /on or off/],
    [
      'CORS_ORIGINS',
      'https://a.example.com, https://b.example.com/inbox',
      /"https:\/\/b.example.com\/inbox" is no origin/,
    ],
    ['CORS_ORIGINS', 'example', /"example" is no origin/],
    ['OUTBOUND_ALLOW', 'crm.internal', /"crm.internal" is neither/],
    ['OUTBOUND_ALLOW', 'crm.internal:0', /is neither/],
    ['OUTBOUND_ALLOW', 'crm.internal:65536', /is neither/],
    ['OUTBOUND_ALLOW', '10.0.0.0/33', /is neither/],
    ['OUTBOUND_ALLOW', 'internal/8', /is neither/],
    ['PUBLIC_URL', 'parley.example.com', /http or https/],
    ['OTEL_EXPORTER_OTLP_ENDPOINT', 'collector:4318', /http or https/],
    ['SMTP_URL', 'http://mail.example.com', /smtp:\/\//],
    ['EVENT_RETENTION', '7 days', /ISO 8601/],
    ['EVENT_RETENTION', 'PT0S', /ISO 8601/],
    ['RETRY_TIME_SCALE', '0', /above 0/],
    ['JWT_SECRET', 'short', /at least 32/],
  ])('refuse %s=%s', (name, value, message) => {
    const faults = faultsOf({ [name]: value });
    expect(faults).toHaveLength(1);
    expect(faults[0]).toMatch(new RegExp(`^${name} `));
    expect(faults[0]).toMatch(message);
  });

  it('tell all faults at once', () => {
    const faults = faultsOf({
      PORT: 'x',
      ROLE: 'x',
      NODE_ENV: 'production',
      RETRY_TIME_SCALE: '2',
      SECRETS_KEY: secrets.JWT_SECRET,
    });
    expect(faults.map((line) => line.split(' ')[0]).sort()).toEqual([
      'DATABASE_URL',
      'PORT',
      'RETRY_TIME_SCALE',
      'ROLE',
      'SECRETS_KEY',
    ]);
  });

  it('take lists, durations, switches and addresses as they are meant', () => {
    const settings = load({
      CORS_ORIGINS: 'https://a.example.com, http://b.example.com:8080,',
      OUTBOUND_ALLOW: 'crm.internal:8080, [fd00::1]:443, 10.0.0.0/8, fd00::/8',
      EVENT_RETENTION: 'PT12H',
      TRUST_PROXY: 'on',
      PUBLIC_URL: 'https://parley.example.com/',
      OTEL_EXPORTER_OTLP_ENDPOINT: 'http://127.0.0.1:4318/',
    });
    expect(settings).toMatchObject({
      corsOrigins: ['https://a.example.com', 'http://b.example.com:8080'],
      outboundAllow: ['crm.internal:8080', '[fd00::1]:443', '10.0.0.0/8', 'fd00::/8'],
      eventRetentionMs: 12 * 3_600_000,
      trustProxy: true,
      publicUrl: 'https://parley.example.com',
      otlpEndpoint: 'http://127.0.0.1:4318',
      isPortGiven: false,
    });
    expect(load({ PORT: '4001' })).toMatchObject({ port: 4001, isPortGiven: true });
    expect(load({ PORT: ' ' })).toMatchObject({ port: 4000, isPortGiven: false });
  });

  it('make administrators of those who sign up only where nobody else can reach it', () => {
    expect(load({}).signupRole).toBe('ADMIN');
    expect(load({ HOST: '0.0.0.0' }).signupRole).toBe('AGENT');
  });

  it('keep the secrets that they make, for the owner alone', () => {
    const made = loadSettings({ DATA_DIR: join(folder, 'made') });
    const file = join(folder, 'made/secrets.json');
    expect(statSync(file).mode & 0o777).toBe(0o600);
    expect(JSON.parse(readFileSync(file, 'utf8'))).toEqual({ jwtSecret: made.jwtSecret, secretsKey: made.secretsKey });
    expect(made.jwtSecret).toHaveLength(64);
    expect(made.secretsKey).not.toBe(made.jwtSecret);
    expect(loadSettings({ DATA_DIR: join(folder, 'made') })).toEqual(made);
  });

  it('say so when they cannot be kept', () => {
    const file = join(folder, 'a file');
    writeFileSync(file, '');
    expect(() => loadSettings({ DATA_DIR: file })).toThrow(
      /^These settings need a change:\n {2}DATA_DIR cannot be used/,
    );
  });
});

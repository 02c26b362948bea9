import { InvalidArgumentError, Option } from 'commander';
import { settingTable } from '../config.ts';
import { CliFailure } from './failure.ts';
import { defaultUrl } from './gateway-client.ts';

/** What every client command takes. */
export interface ClientFlags {
  url: string;
  token?: string;
}

export function urlOption(): Option {
  return new Option('--url <address>', 'address of the gateway').env('PARLEY_URL').default(defaultUrl);
}

export function tokenOption(who = 'an ADMIN'): Option {
  return new Option('--token <jwt>', `token of ${who}, as users.login answers it`).env('PARLEY_TOKEN');
}

/** Help text that shows how a command is used. */
export function examples(...lines: string[]): string {
  return ['', 'Examples:', ...lines.map((line) => `  npm run parley -- ${line}`)].join('\n');
}

export function wholeNumber(min: number, max: number): (value: string) => number {
  return (value) => {
    const number = Number(value);
    if (/^\d+$/.test(value) && number >= min && number <= max) return number;
    throw new InvalidArgumentError(`It must be a whole number from ${min} to ${max}.`);
  };
}

/** An instant with its zone, without which it would be a guess. */
export function instant(value: string): string {
  if (/^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}.*(Z|[+-]\d{2}:?\d{2})$/.test(value) && !Number.isNaN(Date.parse(value)))
    return value;
  throw new InvalidArgumentError('It must be ISO 8601 with a zone, such as 2030-01-01T00:00:00Z.');
}

export function sourceId(value: string): string {
  if (value.length >= 1 && value.length <= 255 && !/\s/.test(value)) return value;
  throw new InvalidArgumentError('It must have 1 to 255 characters and no blanks.');
}

export function collected(value: string, before: string[] = []): string[] {
  return [...before, value];
}

/** DATA_DIR as the gateway reads it. @throws CliFailure (2) */
export function dataDir(): string {
  return readSetting('DATA_DIR');
}

export function isProduction(): boolean {
  return readSetting('NODE_ENV') === 'production';
}

// One setting, not loadSettings: a client needs neither a database nor secrets, and must not make any.
function readSetting(name: 'DATA_DIR' | 'NODE_ENV'): string {
  const result = settingTable[name].schema.safeParse(process.env[name]?.trim() || undefined);
  if (result.success) return result.data;
  throw new CliFailure(`${name} ${result.error.issues[0]?.message ?? 'is not valid'}.`, 2);
}

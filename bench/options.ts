import { parseArgs } from 'node:util';

/** Reference data: conversations of 10 messages, plus one of 20,000. */
export const sizes = { '10k': 10_000, '100k': 100_000, '1m': 1_000_000 } as const;
export type Size = keyof typeof sizes;

export interface Options {
  sizes: Size[];
  rounds: number;
  /** Length of one slice. */
  seconds: number;
  /** Names or beginnings of names; empty: all. */
  only: string[];
  databaseUrl: string | undefined;
  write: boolean;
  /** Writes a CPU profile of each gateway process. */
  profile: boolean;
}

export const usage = `npm run bench -- [options]

  --size 10k|100k|1m   reference data, several with commas between (10k)
  --rounds N           interleaved rounds (5)
  --seconds N          length of one slice (5)
  --only name,name     operations whose names begin so, such as ingest:1@16,list
  --database-url URL   a PostgreSQL of yours, allowed to create databases; default: the embedded one
  --write              also write RESULTS.md where only some operations ran (all: it is written anyway)
  --no-write           leave RESULTS.md as it is
  --profile            CPU profiles of the gateway into bench/.data/profiles
`;

/** @throws Error that says what is wrong with the command line */
export function readOptions(args: string[]): Options | 'help' {
  const { values } = parseArgs({
    args,
    allowNegative: true,
    options: {
      size: { type: 'string', default: '10k' },
      rounds: { type: 'string', default: '5' },
      seconds: { type: 'string', default: '5' },
      only: { type: 'string', default: '' },
      'database-url': { type: 'string' },
      write: { type: 'boolean' },
      profile: { type: 'boolean', default: false },
      help: { type: 'boolean', default: false },
    },
  });
  if (values.help) return 'help';
  const only = values.only.split(',').flatMap((name) => name.trim() || []);
  return {
    sizes: values.size.split(',').map((name) => {
      const size = name.trim().toLowerCase();
      if (!Object.hasOwn(sizes, size)) throw new Error(`--size must be one of ${Object.keys(sizes).join(', ')}`);
      return size as Size;
    }),
    rounds: wholeNumber('rounds', values.rounds, 1, 50),
    seconds: wholeNumber('seconds', values.seconds, 1, 120),
    only,
    databaseUrl: values['database-url'],
    write: values.write ?? only.length === 0,
    profile: values.profile,
  };
}

function wholeNumber(name: string, text: string, least: number, most: number): number {
  const value = Number(text);
  if (!Number.isInteger(value) || value < least || value > most) {
    throw new Error(`--${name} must be a whole number from ${least} to ${most}`);
  }
  return value;
}

import { hash, verify } from '@node-rs/argon2';
import { InvalidInput, Unavailable } from '../../errors.ts';

// argon2id, 19 MiB, two rounds: runs on libuv's threads, off the event loop.
const cost = { memoryCost: 19_456, timeCost: 2, parallelism: 1 };
const atOnce = 2;
const longestQueue = 32;
const longestPassword = 1_024;

let running = 0;
const waiting: (() => void)[] = [];

/**
 * Waits for a turn at the hashes: a flood of logins must not take all threads and memory.
 *
 * @throws Unavailable two run and the short queue behind them is full
 */
export async function withPasswordTurn<T>(work: () => Promise<T>): Promise<T> {
  if (running >= atOnce) {
    if (waiting.length >= longestQueue) throw new Unavailable('too many sign-ins at the moment, try again', 1_000);
    await new Promise<void>((resolve) => waiting.push(resolve));
  } else {
    running += 1;
  }
  try {
    return await work();
  } finally {
    const next = waiting.shift();
    if (next) next();
    else running -= 1;
  }
}

// NFKC, so that the same password typed on another keyboard is the same bytes.
function normal(password: string): string {
  return password.normalize('NFKC');
}

/** @throws InvalidInput naming `path`: blank, shorter than `minLength` bytes, longer than 1,024, or with a NUL */
export function checkNewPassword(password: string, minLength: number, path: string): void {
  const bytes = Buffer.byteLength(normal(password));
  if (password.trim() === '') throw new InvalidInput(path, 'must not be blank');
  if (password.includes('\0')) throw new InvalidInput(path, 'must not contain NUL');
  if (bytes < minLength) throw new InvalidInput(path, `must be at least ${minLength} characters long`);
  if (bytes > longestPassword) throw new InvalidInput(path, `must be at most ${longestPassword} bytes long`);
}

export function hashPassword(password: string): Promise<string> {
  return withPasswordTurn(() => hash(normal(password), cost));
}

let decoy: Promise<string> | undefined;

/**
 * Compares with the stored hash; with none it compares with a decoy, so that an unknown account takes as long as a
 * wrong password. Call it within a turn.
 */
export async function passwordMatches(stored: string | undefined, password: string): Promise<boolean> {
  if (Buffer.byteLength(normal(password)) > longestPassword) return false;
  decoy ??= hash('nobody has this password', cost);
  const against = stored ?? (await decoy);
  const matches = await verify(against, normal(password));
  return matches && stored !== undefined;
}

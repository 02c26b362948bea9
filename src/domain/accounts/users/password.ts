import { hash, verify } from '@node-rs/argon2';
import { InvalidInput, Unavailable } from '../../errors.ts';

// argon2id, 19 MiB, two rounds: runs on libuv's threads, off the event loop.
const cost = { memoryCost: 19_456, timeCost: 2, parallelism: 1 };
const atOnce = 2;
const longestQueue = 32;
const longestPassword = 1_024;
// NFKC takes time by the square of the marks that follow each other: 10 ms at this length, over a second at 100 kB. No
// character shrinks to less than a quarter of its bytes, so what is longer is too long in any form.
const longestRaw = 4 * longestPassword;

/** What a turn is for: each has a queue of its own. */
export type PasswordTurn = 'login' | 'newPassword';

let running = 0;
const waiting: Record<PasswordTurn, (() => void)[]> = { login: [], newPassword: [] };

/**
 * Waits for a turn at the hashes: a flood must not take all threads and memory. A free turn goes to the other queue
 * first, so that a flood of sign-ups does not hold up the logins, nor the other way round.
 *
 * @throws Unavailable two run and the short queue behind them is full
 */
export async function withPasswordTurn<T>(turn: PasswordTurn, work: () => Promise<T>): Promise<T> {
  const queue = waiting[turn];
  if (running >= atOnce) {
    if (queue.length >= longestQueue) throw new Unavailable('too many sign-ins at the moment, try again', 1_000);
    await new Promise<void>((resolve) => queue.push(resolve));
  } else {
    running += 1;
  }
  try {
    return await work();
  } finally {
    const other = waiting[turn === 'login' ? 'newPassword' : 'login'];
    const next = other.shift() ?? queue.shift();
    if (next) next();
    else running -= 1;
  }
}

/** How many wait for their turn, for whatever it is. */
export function passwordQueue(): number {
  return waiting.login.length + waiting.newPassword.length;
}

/** NFKC, so that the same password typed on another keyboard is the same bytes; null when it is too long to be one. */
function normal(password: string): string | null {
  if (Buffer.byteLength(password) > longestRaw) return null;
  const normalised = password.normalize('NFKC');
  return Buffer.byteLength(normalised) > longestPassword ? null : normalised;
}

/** @throws InvalidInput naming `path`: blank, shorter than `minLength` bytes, longer than 1,024, or with a NUL */
export function checkNewPassword(password: string, minLength: number, path: string): void {
  if (password.trim() === '') throw new InvalidInput(path, 'must not be blank');
  if (password.includes('\0')) throw new InvalidInput(path, 'must not contain NUL');
  const normalised = normal(password);
  if (normalised === null) throw tooLong(path);
  if (Buffer.byteLength(normalised) < minLength)
    throw new InvalidInput(path, `must be at least ${minLength} bytes long`);
}

const tooLong = (path: string) => new InvalidInput(path, `must be at most ${longestPassword} bytes long`);

/** Of a password that was checked. Call it within a turn. */
export async function hashPassword(password: string): Promise<string> {
  const normalised = normal(password);
  if (normalised === null) throw tooLong('password');
  return hash(normalised, cost);
}

let decoy: Promise<string> | undefined;

/**
 * Compares with the stored hash; with none it compares with a decoy, so that an unknown account takes as long as a
 * wrong password. Call it within a turn.
 */
export async function passwordMatches(stored: string | undefined, password: string): Promise<boolean> {
  const normalised = normal(password);
  if (normalised === null) return false;
  decoy ??= hash('nobody has this password', cost);
  const against = stored ?? (await decoy);
  const matches = await verify(against, normalised);
  return matches && stored !== undefined;
}

import { randomUUID } from 'node:crypto';
import { readFileSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';

/** Longest time one holder may take; older locks were left by somebody whose process number is in use again. */
const maxHeldMs = 120_000;

const heldHere = new Set<string>();

/**
 * Runs `work` while no other process of this machine runs it for the same file. A lock left by a dead process is
 * taken over. Two that take over one lock at the same instant may both go on, so `work` must survive that: here the
 * database's own lock file decides.
 */
export async function withStartLock<T>(file: string, work: () => Promise<T>): Promise<T> {
  const token = `${process.pid} ${randomUUID()}`;
  const deadline = Date.now() + maxHeldMs;
  while (!taken(file, token)) {
    if (isLeftOver(file)) takeAway(file);
    else if (Date.now() > deadline)
      throw new Error(`${file} is held by another process; remove it if none is starting`);
    else await sleep(30);
  }
  heldHere.add(token);
  try {
    return await work();
  } finally {
    heldHere.delete(token);
    if (contentOf(file) === token) rmSync(file, { force: true });
  }
}

/** True when the process exists and still runs; a zombie answers signals but holds nothing any more. */
export function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
  // "pid (name) state ...": the name may hold anything, so the state is what follows the last bracket.
  const stat = contentOf(`/proc/${pid}/stat`);
  return stat === undefined || !/^\) [ZX]/.test(stat.slice(stat.lastIndexOf(')')));
}

function taken(file: string, token: string): boolean {
  try {
    writeFileSync(file, token, { flag: 'wx', mode: 0o600 });
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false;
    throw error;
  }
}

function isLeftOver(file: string): boolean {
  const token = contentOf(file);
  const ageMs = Date.now() - (statSync(file, { throwIfNoEntry: false })?.mtimeMs ?? Date.now());
  if (token === undefined) return false;
  if (ageMs > maxHeldMs) return true;
  const pid = Number.parseInt(token, 10);
  // Empty: its maker is between opening and writing, or died there.
  if (Number.isNaN(pid)) return ageMs > 5_000;
  // In a container the next process has the number of the killed one.
  if (pid === process.pid) return !heldHere.has(token) && ageMs > 1_000;
  return !isAlive(pid);
}

function takeAway(file: string): void {
  const aside = `${file}.${randomUUID()}`;
  try {
    renameSync(file, aside);
  } catch {
    return;
  }
  rmSync(aside, { force: true });
}

function contentOf(file: string): string | undefined {
  try {
    return readFileSync(file, 'utf8');
  } catch {
    return undefined;
  }
}

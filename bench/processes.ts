import { readdirSync, readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';

/** What /proc/<pid>/stat counts in: 100 a second on every Linux of today. */
const ticksPerSecond = 100;

interface Stat {
  name: string;
  parent: number;
  seconds: number;
  /** Of children that have ended. */
  endedSeconds: number;
}

function statOf(pid: number): Stat | undefined {
  let text: string;
  try {
    text = readFileSync(`/proc/${pid}/stat`, 'utf8');
  } catch {
    return undefined;
  }
  // The name stands in parentheses and may hold anything.
  const close = text.lastIndexOf(')');
  const fields = text.slice(close + 2).split(' ');
  const ticks = (index: number) => Number(fields[index]) / ticksPerSecond;
  return {
    name: text.slice(text.indexOf('(') + 1, close),
    parent: Number(fields[1]),
    seconds: ticks(11) + ticks(12),
    endedSeconds: ticks(13) + ticks(14),
  };
}

/** CPU seconds of a process and of its children that have ended. */
export function cpuSeconds(pid: number): number {
  const stat = statOf(pid);
  return stat ? stat.seconds + stat.endedSeconds : 0;
}

/** CPU seconds of a process and all its children: PostgreSQL has one for each connection. */
export function treeCpuSeconds(pid: number): number {
  let sum = cpuSeconds(pid);
  for (const name of readdirSync('/proc')) {
    if (!/^\d+$/.test(name)) continue;
    const stat = statOf(Number(name));
    if (stat?.parent === pid) sum += stat.seconds + stat.endedSeconds;
  }
  return sum;
}

/** The postmaster of a server process, where it runs on this machine; else undefined. */
export function postmasterOf(serverPid: number): number | undefined {
  const stat = statOf(serverPid);
  return stat?.name === 'postgres' && statOf(stat.parent)?.name === 'postgres' ? stat.parent : undefined;
}

/** Resident memory in MB. */
export function rssMb(pid: number): number {
  try {
    const kilobytes = /^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1];
    return kilobytes === undefined ? Number.NaN : Number(kilobytes) / 1_024;
  } catch {
    return Number.NaN;
  }
}

const lookMs = 200;
/** Share of a core below which something counts as idle. */
const idleShare = 0.1;
const idleWithinMs = 15_000;

/** Waits until what `read` counts (CPU seconds) stands nearly still, two looks long; 15 s at most. */
export async function untilIdle(read: () => number): Promise<void> {
  const deadline = Date.now() + idleWithinMs;
  let quiet = 0;
  let before = read();
  while (quiet < 2 && Date.now() < deadline) {
    await sleep(lookMs);
    const now = read();
    quiet = now - before <= (idleShare * lookMs) / 1_000 ? quiet + 1 : 0;
    before = now;
  }
}

const endings: (() => unknown)[] = [];

/** Something to end when the bench ends, whatever the reason. @returns a function that forgets it */
export function atEnd(end: () => unknown): () => void {
  endings.push(end);
  return () => {
    const index = endings.indexOf(end);
    if (index >= 0) endings.splice(index, 1);
  };
}

/** Ends what is still running, last begun first. */
export async function endAll(): Promise<void> {
  for (const end of endings.splice(0).reverse()) await end();
}

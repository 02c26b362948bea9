import { existsSync, readdirSync, readFileSync } from 'node:fs';

// What the system tells of a process: 0 or nothing where it is not Linux.
const told = (file: string): string => (existsSync(file) ? readFileSync(file, 'utf8') : '');

/** Memory that it holds now, in MB. */
export function rssMb(pid: number): number {
  return Number(/VmRSS:\s+(\d+)/.exec(told(`/proc/${pid}/status`))?.[1] ?? 0) / 1024;
}

/** Descriptors that it holds open. */
export function openFiles(pid: number): number {
  const folder = `/proc/${pid}/fd`;
  return existsSync(folder) ? readdirSync(folder).length : 0;
}

/** Bytes that it read so far, those of sockets included. */
export function bytesRead(pid: number): number {
  return Number(/rchar: (\d+)/.exec(told(`/proc/${pid}/io`))?.[1] ?? 0);
}

/** Looks at the memory of a process ten times a second, until `stop` tells the most that was seen. */
export function watchRss(pid: number): { stop(): number } {
  let most = rssMb(pid);
  const timer = setInterval(() => {
    most = Math.max(most, rssMb(pid));
  }, 100);
  return {
    stop() {
      clearInterval(timer);
      return Math.max(most, rssMb(pid));
    },
  };
}

/** Whether a process of this machine is connected to an IPv4 address, or tries to be. */
export function hasConnectionTo(address: string): boolean {
  const hex = address
    .split('.')
    .reverse()
    .map((part) => Number(part).toString(16).padStart(2, '0'))
    .join('')
    .toUpperCase();
  return ['/proc/net/tcp', '/proc/net/tcp6'].some((file) => told(file).includes(`${hex}:`));
}

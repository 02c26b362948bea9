import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

/** What one file of long tests came to. */
export interface FileRun {
  file: string;
  /** `2026-01-31` */
  date: string;
  seconds: number;
  machine: string;
  tests: { name: string; outcome: 'passed' | 'failed' | 'skipped' }[];
  /** The lines of `tellFigures`. */
  figures: string[];
}

export const dataDir = fileURLToPath(new URL('./.data', import.meta.url));
const runsFile = join(dataDir, 'runs.json');

/** The last run of each file, by name. */
export function readRuns(): FileRun[] {
  return existsSync(runsFile) ? (JSON.parse(readFileSync(runsFile, 'utf8')) as FileRun[]) : [];
}

/** Puts a run in the place of the last one of the same file. */
export function keepRun(run: FileRun): void {
  const others = readRuns().filter(({ file }) => file !== run.file);
  const all = [...others, run].sort((a, b) => a.file.localeCompare(b.file));
  writeFileSync(runsFile, JSON.stringify(all, null, 2));
}

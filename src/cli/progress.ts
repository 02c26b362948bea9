import type { Writable } from 'node:stream';
import cliProgress from 'cli-progress';
import { isTerminal, printLine } from './terminal.ts';

/** How far a sending is. */
export interface Progress {
  /** Lines acknowledged in this run. */
  lines: number;
  messages: number;
  /** 0 to 1; undefined when the end is not known. */
  done?: number;
}

/** Shows how far a sending is: a bar on a terminal, elsewhere a line every few seconds. */
export interface ProgressView {
  update(progress: Progress): void;
  /** A line of text that stays, above the bar. */
  note(line: string): void;
  end(): void;
}

const everyMs = 5_000;

export function openProgress(out: Writable, startedAt = Date.now()): ProgressView {
  return isTerminal(out) ? barView(out, startedAt) : lineView(out, startedAt);
}

/** Rate and remaining time of a sending that began so long ago; `doneBefore` is what earlier runs had done. */
export function paceOf(
  { lines, done }: Progress,
  elapsedMs: number,
  doneBefore = 0,
): { rate: number; leftMs?: number } {
  const seconds = Math.max(elapsedMs, 1) / 1000;
  const rate = lines / seconds;
  const gained = done === undefined ? 0 : done - doneBefore;
  if (done === undefined || gained <= 0) return { rate };
  return { rate, leftMs: ((1 - done) / gained) * elapsedMs };
}

/** `45 s`, `3 min 20 s`, `2 h 5 min`. */
export function spokenDuration(ms: number): string {
  const seconds = Math.round(ms / 1000);
  if (seconds < 60) return `${seconds} s`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min ${seconds % 60} s`;
  return `${Math.floor(seconds / 3600)} h ${Math.floor((seconds % 3600) / 60)} min`;
}

export function spokenCount(count: number): string {
  return count.toLocaleString('en-GB');
}

function describe(progress: Progress, elapsedMs: number, doneBefore: number): string {
  const { rate, leftMs } = paceOf(progress, elapsedMs, doneBefore);
  const parts = [
    `${spokenCount(progress.lines)} lines`,
    `${spokenCount(progress.messages)} messages`,
    `${rate >= 10 ? spokenCount(Math.round(rate)) : rate.toFixed(1)} lines/s`,
  ];
  if (leftMs !== undefined) parts.push(`${spokenDuration(leftMs)} left`);
  return parts.join(', ');
}

function barView(out: Writable, startedAt: number): ProgressView {
  const format = '{bar} {percentage}% | {text}';
  const bar = new cliProgress.SingleBar(
    { stream: out as NodeJS.WriteStream, format, fps: 5, clearOnComplete: true, hideCursor: true, barsize: 24 },
    cliProgress.Presets.shades_classic,
  );
  let doneBefore: number | undefined;
  return {
    update(progress) {
      if (doneBefore === undefined) bar.start(1000, 0, { text: '' });
      doneBefore ??= progress.done ?? 0;
      const text = describe(progress, Date.now() - startedAt, doneBefore);
      bar.update(Math.round((progress.done ?? 0) * 1000), { text });
    },
    note(line) {
      out.write(`\r\u001b[K${line}\n`);
    },
    end: () => bar.stop(),
  };
}

function lineView(out: Writable, startedAt: number): ProgressView {
  let nextAt = startedAt + everyMs;
  let doneBefore: number | undefined;
  return {
    update(progress) {
      doneBefore ??= progress.done ?? 0;
      if (Date.now() < nextAt) return;
      nextAt = Date.now() + everyMs;
      const percent = progress.done === undefined ? '' : `${Math.floor(progress.done * 100)} %, `;
      printLine(out, percent + describe(progress, Date.now() - startedAt, doneBefore));
    },
    note: (line) => printLine(out, line),
    end: () => undefined,
  };
}

import { appendFileSync } from 'node:fs';

/** What every fault run must say; `n/a` where a run has no such thing. */
export interface Figures {
  lost: number | 'n/a';
  dup: number | 'n/a';
  phantom: number | 'n/a';
  stuck: number | 'n/a';
  /** Milliseconds, of what the run calls its answer. */
  p99: number | 'n/a';
  /** Megabytes, the highest seen of the process under test. */
  rss: number | 'n/a';
}

const unit = (value: number | 'n/a', suffix: string) =>
  value === 'n/a' ? value : `${Math.round(value * 10) / 10}${suffix}`;

/**
 * Prints one line of figures, and adds it to the file that FAULT_FIGURES names.
 * @param name the check's id first: `F2 5 kills of the postmaster`
 * @param more what else was seen, as `name=value` words
 */
export function tellFigures(name: string, figures: Figures, more = ''): void {
  const { lost, dup, phantom, stuck, p99, rss } = figures;
  const line =
    `${name}: lost=${lost} dup=${dup} phantom=${phantom} stuck=${stuck} ` +
    `p99=${unit(p99, 'ms')} rss=${unit(rss, 'MB')} ${more}`.trimEnd();
  process.stdout.write(`${line}\n`);
  if (process.env.FAULT_FIGURES) appendFileSync(process.env.FAULT_FIGURES, `${line}\n`);
}

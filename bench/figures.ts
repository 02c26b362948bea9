import { median } from './histogram.ts';
import type { Lane } from './operations.ts';

/** What one program came to, one value a round. */
export interface LaneFigures {
  rate: number[];
  p50Ms: number[];
  p99Ms: number[];
  /** CPU of the program for one unit; NaN where it has none of its own. */
  serverUs: number[];
  databaseUs: number[];
  /** After the last round. */
  rssMb: number;
}

/** One operation, measured. */
export interface Row {
  name: string;
  unit: string;
  /** ISO 8601 date. */
  on: string;
  rounds: number;
  seconds: number;
  lanes: Partial<Record<Lane, LaneFigures>>;
  /** What was not right; empty as it should be. */
  faults: string[];
}

/** Row g: how it starts, and what it weighs. */
export interface StartFigures {
  on: string;
  givenMs: number[];
  embeddedMs: number[];
  idleMb: number;
}

/** Everything of one size that a report needs, as it is kept in the report itself. */
export interface Section {
  size: string;
  on: string;
  machine: string[];
  rows: Row[];
  start?: StartFigures;
}

export interface Spread {
  middle: number;
  least: number;
  most: number;
}

export function spreadOf(values: readonly number[]): Spread {
  const known = values.filter((value) => !Number.isNaN(value));
  return { middle: median(known), least: Math.min(...known), most: Math.max(...known) };
}

/** Round by round: both of a ratio were measured within the same minute. */
export function ratios(of: readonly number[] | undefined, to: readonly number[] | undefined): number[] {
  if (!of || !to) return [];
  return of.slice(0, to.length).map((value, round) => value / to[round]!);
}

/** The median ratio of two lanes; NaN where one was not measured. */
export function ratio(
  row: Row | undefined,
  of: Lane,
  to: Lane,
  figure: keyof Omit<LaneFigures, 'rssMb'> = 'rate',
): number {
  return median(ratios(row?.lanes[of]?.[figure], row?.lanes[to]?.[figure]));
}

export function middle(row: Row | undefined, lane: Lane, figure: keyof Omit<LaneFigures, 'rssMb'> = 'rate'): number {
  return median(row?.lanes[lane]?.[figure] ?? []);
}

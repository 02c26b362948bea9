import { randomUUID } from 'node:crypto';
import type { Tested } from './action-ground.ts';
import { tellFigures } from './figures.ts';

export interface Timing {
  /** Of known addresses less that of unknown ones, ms. */
  medianDifference: number;
  /** Of the known ones, ms. */
  median: number;
  /** That both are of one kind, by Mann-Whitney. */
  p: number;
}

const callsOfEach = 8;

/**
 * T2: times calls that name known and unknown addresses, in turn, so that what else happens meets both. Below ten
 * failures of one account, and each from a network address of its own, so that no throttle speaks.
 */
export async function timeEnumeration(
  tested: Tested,
  { name, path, calls }: { name: string; path: 'users.login' | 'users.request-password-reset'; calls: number },
): Promise<Timing> {
  let asked = 0;
  const ask = async (to: string, body: unknown): Promise<{ status: number; ms: number }> => {
    asked += 1;
    const from = `198.51.${Math.floor(asked / 250)}.${1 + (asked % 250)}`;
    const headers = { 'content-type': 'application/json', 'x-forwarded-for': from };
    const startedAt = performance.now();
    const response = await fetch(`${tested.url}/${to}`, { method: 'POST', headers, body: JSON.stringify(body) });
    await response.arrayBuffer();
    return { status: response.status, ms: performance.now() - startedAt };
  };
  const accounts = Math.ceil(calls / callsOfEach);
  const domain = `${randomUUID()}.test`;
  for (let n = 0; n < accounts; n += 1) {
    const account = { first_name: 'A', last_name: 'B', email: `known-${n}@${domain}`, password: 'correct horse' };
    const { status } = await ask('users.signup', account);
    if (status !== 200) throw new Error(`users.signup answered ${status}`);
  }
  const took: Record<'known' | 'unknown', number[]> = { known: [], unknown: [] };
  const statuses = new Set<number>();
  for (let n = -8; n < calls * 2; n += 1) {
    const kind = n % 2 === 0 ? 'known' : 'unknown';
    const email = `${kind}-${Math.floor(Math.abs(n) / 2) % accounts}@${domain}`;
    const { status, ms } = await ask(path, { email, ...(path === 'users.login' && { password: 'wrong horse' }) });
    statuses.add(status);
    // The first ones warm up.
    if (n >= 0) took[kind].push(ms);
  }
  if (statuses.size !== 1) throw new Error(`${path} answered ${[...statuses]}`);
  const median = medianOf(took.known);
  const timing = {
    median,
    medianDifference: median - medianOf(took.unknown),
    p: mannWhitney(took.known, took.unknown),
  };
  const more = `status=${[...statuses]} median=${median.toFixed(1)}ms difference=${timing.medianDifference.toFixed(2)}ms p-same=${timing.p.toFixed(3)}`;
  const p99 = took.known.toSorted((one, other) => one - other)[Math.floor(took.known.length * 0.99)]!;
  tellFigures(name, { lost: 'n/a', dup: 'n/a', phantom: 'n/a', stuck: 'n/a', p99, rss: tested.rssMb() }, more);
  return timing;
}

function medianOf(values: number[]): number {
  return values.toSorted((one, other) => one - other)[Math.floor(values.length / 2)]!;
}

/** Two-sided, by the normal approximation, which is good from 20 values each; equal times hardly occur. */
function mannWhitney(one: number[], other: number[]): number {
  const all = [...one.map((ms) => ({ ms, isOne: true })), ...other.map((ms) => ({ ms, isOne: false }))];
  all.sort((a, b) => a.ms - b.ms);
  const ranks = all.reduce((sum, { isOne }, index) => sum + (isOne ? index + 1 : 0), 0);
  const u = ranks - (one.length * (one.length + 1)) / 2;
  const mean = (one.length * other.length) / 2;
  const deviation = Math.sqrt((one.length * other.length * (one.length + other.length + 1)) / 12);
  return 2 * (1 - normal(Math.abs(u - mean) / deviation));
}

/** The distribution function of the normal distribution, to 1e-7 (Abramowitz and Stegun, 26.2.17). */
function normal(z: number): number {
  const t = 1 / (1 + 0.2316419 * z);
  const series = [0.31938153, -0.356563782, 1.781477937, -1.821255978, 1.330274429];
  const tail = series.reduce((sum, factor, index) => sum + factor * t ** (index + 1), 0);
  return 1 - (Math.exp((-z * z) / 2) / Math.sqrt(2 * Math.PI)) * tail;
}

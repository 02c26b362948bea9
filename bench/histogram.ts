const perOctave = 64;
const octaves = 34;

/** Counts times in buckets of about 1 %: constant memory, whatever the rate. */
export class Histogram {
  readonly #counts = new Float64Array(perOctave * octaves);
  #total = 0;

  record(ms: number, times = 1): void {
    const us = Math.max(1, ms * 1_000);
    const bucket = Math.min(this.#counts.length - 1, Math.floor(Math.log2(us) * perOctave));
    this.#counts[bucket]! += times;
    this.#total += times;
  }

  /** Milliseconds below which the given share (0 to 1) of the times lie; NaN of none. */
  quantile(share: number): number {
    let seen = 0;
    for (let bucket = 0; bucket < this.#counts.length; bucket += 1) {
      seen += this.#counts[bucket]!;
      if (seen >= share * this.#total && seen > 0) return 2 ** ((bucket + 0.5) / perOctave) / 1_000;
    }
    return Number.NaN;
  }
}

/** The middle one; NaN of none. */
export function median(values: readonly number[]): number {
  const sorted = values.filter((value) => !Number.isNaN(value)).sort((a, b) => a - b);
  if (sorted.length === 0) return Number.NaN;
  const middle = Math.floor(sorted.length / 2);
  return sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2;
}

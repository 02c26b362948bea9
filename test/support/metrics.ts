/** One line of the metrics: its labels and its value. */
export interface Sample {
  labels: Record<string, string>;
  value: number;
}

/** The samples of each name, as `/metrics` of a gateway or a worker tells them. */
export async function scrape(url: string): Promise<Map<string, Sample[]>> {
  const answer = await fetch(`${url}/metrics`, { signal: AbortSignal.timeout(10_000) });
  if (answer.status !== 200) throw new Error(`/metrics answered ${answer.status}`);
  return samplesOf(await answer.text());
}

export function samplesOf(text: string): Map<string, Sample[]> {
  const samples = new Map<string, Sample[]>();
  for (const line of text.split('\n')) {
    const [, name, labels = '', value] = /^([a-z]\w*)(?:\{(.*)\})? (\S+)$/.exec(line) ?? [];
    if (!name) continue;
    const pairs = [...labels.matchAll(/(\w+)="((?:[^"\\]|\\.)*)"/g)].map(([, label, of]) => [label!, of!]);
    const sample = { labels: Object.fromEntries(pairs) as Record<string, string>, value: Number(value) };
    samples.set(name, [...(samples.get(name) ?? []), sample]);
  }
  return samples;
}

/** The sum of all samples of a name whose labels include these; undefined when there is none. */
export function figure(
  samples: Map<string, Sample[]>,
  name: string,
  labels: Record<string, string> = {},
): number | undefined {
  const found = (samples.get(name) ?? []).filter((sample) =>
    Object.entries(labels).every(([label, value]) => sample.labels[label] === value),
  );
  return found.length === 0 ? undefined : found.reduce((sum, { value }) => sum + value, 0);
}

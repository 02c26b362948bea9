import { type Row, ratio, type Section, spreadOf } from './figures.ts';
import { operations } from './operations.ts';
import { type Size, sizes } from './options.ts';

/** What becomes of each operation while the conversations grow: one line for each, the sizes beside each other. */
export function sideBySide(sections: readonly Section[]): { head: string[]; lines: string[][] } {
  const small = sections[0];
  const head = [
    'Operation',
    ...sections.map(({ size }) => sizes[size as Size].toLocaleString('en')),
    ...sections.slice(1).map(({ size }) => `${size} / ${small?.size}`),
    ...sections.slice(1).map(({ size }) => `yardstick ${size} / ${small?.size}`),
  ];
  const lines = operations.flatMap(({ name, styles }) => {
    const rows = sections.map((section) => section.rows.find((row) => row.name === name));
    if (rows.filter((row) => row !== undefined).length < 2) return [];
    return styles.map((style) => [
      styles.length > 1 ? `${name} ${style === 'rest' ? 'REST' : 'GraphQL'}` : name,
      ...rows.map((row) => cell(row, style)),
      ...growth(rows, style),
      ...growth(rows, 'yardstick'),
    ]);
  });
  return { head, lines };
}

type Shown = 'rest' | 'graphql' | 'yardstick';

/** Rate, and in parentheses its ratio to the yardstick of the same run. */
function cell(row: Row | undefined, lane: Shown): string {
  const rate = rateOf(row, lane);
  if (Number.isNaN(rate)) return '-';
  return `${Number(rate.toPrecision(3)).toLocaleString('en')} (${ratio(row, lane, 'yardstick').toFixed(2)})`;
}

function growth([first, ...others]: readonly (Row | undefined)[], lane: Shown): string[] {
  return others.map((row) => {
    const grown = rateOf(row, lane) / rateOf(first, lane);
    return Number.isNaN(grown) ? '-' : grown.toFixed(2);
  });
}

function rateOf(row: Row | undefined, lane: Shown): number {
  const rates = row?.lanes[lane]?.rate;
  return rates ? spreadOf(rates).middle : Number.NaN;
}

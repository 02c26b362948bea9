import type { Pattern } from './filter-tree.ts';

export const many = Symbol('any characters or none');
export const one = Symbol('one character');
/** What is asked of a text, character by character. */
export type Sign = string | typeof many | typeof one;

/** @param textOf how the texts of the pattern are compared */
export function signsOf(pattern: Pattern, textOf: (text: string) => string = (text) => text): Sign[] {
  return pattern.flatMap((part): Sign[] => {
    if (part === '*') return [many];
    return part === '?' ? [one] : [...textOf(part.text)];
  });
}

/**
 * Whether the signs take all of `shown`. The work is bounded by the product of both lengths; a regular expression with
 * as many wildcards could run for ever.
 */
export function takesAll<Shown>(
  signs: readonly Sign[],
  shown: readonly Shown[],
  fits: (sign: string, character: Shown) => boolean,
): boolean {
  let reached = new Set([0]);
  for (const sign of signs) {
    const next = new Set<number>();
    for (const at of reached) {
      if (sign === many) for (let to = at; to <= shown.length; to += 1) next.add(to);
      else if (at < shown.length && (sign === one || fits(sign, shown[at]!))) next.add(at + 1);
    }
    reached = next;
  }
  return reached.has(shown.length);
}

import type { Pattern } from './filter-tree.ts';

export const many = Symbol('any characters or none');
export const one = Symbol('one character');
/** What is asked of a text, character by character. */
export type Asked = string | typeof many | typeof one;

/** @param textOf how the texts of the pattern are compared */
export function askedOf(pattern: Pattern, textOf: (text: string) => string = (text) => text): Asked[] {
  return pattern.flatMap((part): Asked[] => {
    if (part === '*') return [many];
    return part === '?' ? [one] : [...textOf(part.text)];
  });
}

/**
 * Whether the questions take all of `shown`. The work is bounded by the product of both lengths; a regular expression with
 * as many wildcards could run for ever.
 */
export function takesAll<Shown>(
  asked: readonly Asked[],
  shown: readonly Shown[],
  fits: (question: string, character: Shown) => boolean,
): boolean {
  let reached = new Set([0]);
  for (const question of asked) {
    const next = new Set<number>();
    for (const at of reached) {
      if (question === many) for (let to = at; to <= shown.length; to += 1) next.add(to);
      else if (at < shown.length && (question === one || fits(question, shown[at]!))) next.add(at + 1);
    }
    reached = next;
  }
  return reached.has(shown.length);
}

import { type RawBuilder, sql } from 'kysely';

/**
 * A condition on `w`, one word: as many steps away from another at most. Insertions, deletions, substitutions are a step
 * each, and so are swaps of neighbours, which for `levenshtein` are two: where it finds that many, the few words with
 * swapped letters are compared.
 *
 * @param word short: with swaps there are as many words as the square of its length
 */
export function nearWord(word: string, distance: 1 | 2): RawBuilder<unknown> {
  const letters = [...word];
  const { length } = letters;
  if (distance === 1) {
    return sql`case when abs(length(w) - ${length}::int) > 1 then false
      else levenshtein_less_equal(w, ${word}, 1) <= 1 or w = any(${swapsOf(letters)}::text[]) end`;
  }
  return sql`case when abs(length(w) - ${length}::int) > 2 then false
    when levenshtein_less_equal(w, ${word}, 4) > 4 then false
    else levenshtein_less_equal(w, ${word}, 2) <= 2 or w like any (${swapsAndOne(letters)}::text[]) end`;
}

function swapAt(letters: readonly string[], at: number): string[] {
  return letters.with(at, letters[at + 1]!).with(at + 1, letters[at]!);
}

function swapsOf(letters: readonly string[]): string[] {
  return letters.slice(1).map((_, at) => swapAt(letters, at).join(''));
}

/** `like` patterns of the words that are a swap of neighbours and one other step away, which leaves the two alone. */
function swapsAndOne(letters: readonly string[]): string[] {
  const patterns = new Set<string>();
  for (const [at] of letters.slice(1).entries()) {
    const swapped = swapAt(letters, at);
    for (let place = 0; place <= swapped.length; place += 1) {
      if (place !== at + 1) patterns.add(swapped.toSpliced(place, 0, '_').join(''));
      if (place === swapped.length || place === at || place === at + 1) continue;
      patterns.add(swapped.with(place, '_').join(''));
      patterns.add(swapped.toSpliced(place, 1).join(''));
      if (place > at + 1 && place + 1 < swapped.length) patterns.add(swapAt(swapped, place).join(''));
    }
  }
  return [...patterns];
}

const betweenWords = /[^\p{Alphabetic}\p{Nd}]+/gu;

/** The words of a text, in order, each in lower case: what filters on names and metadata compare. */
export function wordsOf(text: string): string[] {
  return blankedText(text.normalize('NFKC'))
    .split(' ')
    .filter((word) => word !== '');
}

/** The same with one blank for all that stands between words, and before or behind them. */
export function blankedText(text: string): string {
  // In this order: a letter in lower case may be two characters, one of which belongs to no word. A sigma is the same one at
  // the end of a word and before it, as parts of words are looked for.
  return text.replace(betweenWords, ' ').toLowerCase().replaceAll('ς', 'σ');
}

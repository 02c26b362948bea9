/** What a filter of conversations says. `all` of nothing matches everything, `any` of nothing matches nothing. */
export type Filter = { kind: 'all'; of: Filter[] } | { kind: 'any'; of: Filter[] } | { kind: 'not'; of: Filter } | Leaf;

/**
 * One question to one field.
 *
 * `is` and `matches` keep the case. `between` includes both ends, whole numbers or an infinity where open. `words` are
 * as `wordsOf` gives them and stand in a row; the texts of `like` are NFKC and keep their case until they are compared.
 * `text` looks for all words in the name, or all in one message; the last may be the beginning of one.
 */
export type Leaf =
  | { kind: 'is'; field: ExactField; value: string }
  | { kind: 'matches'; field: ExactField; pattern: Pattern }
  | { kind: 'between'; field: NumberField; from: number; to: number }
  | { kind: 'words'; field: WordsField; words: string[] }
  | { kind: 'like'; field: WordsField; pattern: Pattern }
  | { kind: 'near'; field: WordsField; word: string; distance: 1 | 2 }
  | { kind: 'text'; field: 'text'; words: string[]; text: string }
  | { kind: 'has'; field: ExactField | NumberField | WordsField };

/** A question to the words of a field. */
export type WordsLeaf = Extract<Leaf, { kind: 'words' | 'like' | 'near' }>;

export type ExactField = 'id' | 'channel_id' | 'source' | 'tag_ids' | 'state' | 'assignee_id';
/** Instants in epoch milliseconds, and a count. */
export type NumberField = 'created_at' | 'last_message_at' | 'unread_count';
export type WordsField = { kind: 'display_name' } | { kind: 'metadata'; path: string[] };
/** `*` is any characters or none, `?` exactly one. No two texts and no two `*` are neighbours. */
export type Pattern = readonly ({ text: string } | '*' | '?')[];

/** Every question of a filter, from left to right. */
export function leavesOf(filter: Filter): Leaf[] {
  switch (filter.kind) {
    case 'all':
    case 'any':
      return filter.of.flatMap(leavesOf);
    case 'not':
      return leavesOf(filter.of);
    default:
      return [filter];
  }
}

/** How many characters a question compares with: those of its words or texts. */
export function comparedLength(leaf: Leaf): number {
  switch (leaf.kind) {
    case 'words':
    case 'text':
      return leaf.words.join(' ').length;
    case 'like':
    case 'matches':
      return leaf.pattern.reduce((sum, part) => sum + (typeof part === 'string' ? 0 : part.text.length), 0);
    case 'near':
      return leaf.word.length;
    default:
      return 0;
  }
}

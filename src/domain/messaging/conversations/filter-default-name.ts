import { many, type Sign, signsOf, takesAll } from './filter-pattern.ts';
import { comparedLength, type WordsLeaf } from './filter-tree.ts';
import { blankedText, wordsOf } from './filter-words.ts';

/** The first part of the name that a conversation is shown under whose contact has none: `Sms` of `twilio.sms`. */
export function namesLabel(sourceId: string): string {
  const segment = sourceId.split('.').at(-1) || sourceId;
  return segment.charAt(0).toUpperCase() + segment.slice(1);
}

/** One character of the end of an id. */
const digit = Symbol('digit');
type Shown = string | typeof digit;

/**
 * Whether some conversation of the source could answer with its default name, `Facebook 4ecb3`: seldom, and then the names
 * that nobody wrote need not be looked at.
 */
export function mayBeDefaultName(leaf: WordsLeaf, sourceId: string): boolean {
  if (leaf.kind === 'near') return true;
  const label = wordsOf(namesLabel(sourceId)).join(' ');
  if (comparedLength(leaf) > label.length + 7) return false;
  const shown: Shown[] = [...(label === '' ? ' ' : ` ${label} `), digit, digit, digit, digit, digit, ' '];
  const within: Sign[] = leaf.kind === 'words' ? [...leaf.words.join(' ')] : signsOf(leaf.pattern, blankedText);
  const begin: Sign[] = within[0] === many ? [] : [many, ' '];
  const end: Sign[] = within.at(-1) === many ? [] : [' ', many];
  const signs: Sign[] = [...begin, ...within, ...end];
  const single = signs.filter((sign, at) => sign !== ' ' || signs[at - 1] !== ' ');
  return takesAll(single, shown, (sign, character) =>
    character === digit ? /^[0-9a-f]$/.test(sign) : sign === character,
  );
}

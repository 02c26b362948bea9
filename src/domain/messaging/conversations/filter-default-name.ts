import { type Asked, askedOf, many, takesAll } from './filter-pattern.ts';
import type { WordsLeaf } from './filter-tree.ts';
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
  const shown: Shown[] = [...(label === '' ? ' ' : ` ${label} `), digit, digit, digit, digit, digit, ' '];
  const within: Asked[] = leaf.kind === 'words' ? [...leaf.words.join(' ')] : askedOf(leaf.pattern, blankedText);
  const begin: Asked[] = within[0] === many ? [] : [many, ' '];
  const end: Asked[] = within.at(-1) === many ? [] : [' ', many];
  const asked: Asked[] = [...begin, ...within, ...end];
  const single = asked.filter((question, at) => question !== ' ' || asked[at - 1] !== ' ');
  return takesAll(single, shown, (question, character) =>
    character === digit ? /^[0-9a-f]$/.test(question) : question === character,
  );
}

import type {
  ExactField,
  Filter,
  Leaf,
  NumberField,
  Pattern,
  WordsField,
} from '../../src/domain/messaging/conversations/filter-tree.ts';

/** A conversation as filters see it: instants in epoch milliseconds. */
export interface FilteredConversation {
  id: string;
  channelId: string;
  source: string;
  displayName: string;
  createdAt: number;
  lastMessageAt: number;
  unreadCount: number;
  tagIds: string[];
  state: string;
  assigneeId: string | null;
  metadata: object;
}

/** What a filter says of a conversation, the slow way: nothing here knows of SQL. */
export function evaluate(filter: Filter, conversation: FilteredConversation): boolean {
  switch (filter.kind) {
    case 'all':
      return filter.of.every((one) => evaluate(one, conversation));
    case 'any':
      return filter.of.some((one) => evaluate(one, conversation));
    case 'not':
      return !evaluate(filter.of, conversation);
    default:
      return holds(filter, conversation);
  }
}

function holds(leaf: Leaf, conversation: FilteredConversation): boolean {
  switch (leaf.kind) {
    case 'is':
      return exactValues(leaf.field, conversation).includes(leaf.value);
    case 'matches':
      return exactValues(leaf.field, conversation).some((value) => isLike([...value], signsOf(leaf.pattern)));
    case 'between': {
      const number = numberOf(leaf.field, conversation);
      return leaf.from <= number && number <= leaf.to;
    }
    case 'words':
      return subjects(leaf.field, conversation).some((subject) => hasRun(wordsOf(subject), leaf.words));
    case 'like':
      return subjects(leaf.field, conversation).some((subject) => hasLike(subject, leaf.pattern));
    case 'near':
      return subjects(leaf.field, conversation).some((subject) =>
        wordsOf(subject).some((word) => edits([...word], [...leaf.word.toLowerCase()]) <= leaf.distance),
      );
    case 'text':
      throw new Error('what was said is not known here');
    case 'has':
      return hasValue(leaf.field, conversation);
  }
}

function exactValues(field: ExactField, conversation: FilteredConversation): string[] {
  switch (field) {
    case 'id':
      return [conversation.id];
    case 'channel_id':
      return [conversation.channelId];
    case 'source':
      return [conversation.source];
    case 'tag_ids':
      return conversation.tagIds;
    case 'state':
      return [conversation.state];
    case 'assignee_id':
      return conversation.assigneeId === null ? [] : [conversation.assigneeId];
  }
}

function numberOf(field: NumberField, conversation: FilteredConversation): number {
  switch (field) {
    case 'created_at':
      return conversation.createdAt;
    case 'last_message_at':
      return conversation.lastMessageAt;
    case 'unread_count':
      return conversation.unreadCount;
  }
}

function hasValue(field: ExactField | NumberField | WordsField, conversation: FilteredConversation): boolean {
  if (field === 'tag_ids') return conversation.tagIds.length > 0;
  if (field === 'assignee_id') return conversation.assigneeId !== null;
  if (typeof field === 'string' || field.kind === 'display_name') return true;
  return valuesAt(conversation.metadata, field.path).some((value) => value !== null && value !== undefined);
}

/** The texts that a field of words holds. */
function subjects(field: WordsField, conversation: FilteredConversation): string[] {
  if (field.kind === 'display_name') return [conversation.displayName];
  return valuesAt(conversation.metadata, field.path)
    .flat()
    .flatMap((one: unknown) => {
      // What stands behind the thousandth character is not looked at.
      if (typeof one === 'string') return [[...one].slice(0, 1_000).join('')];
      return typeof one === 'number' || typeof one === 'boolean' ? [JSON.stringify(one)] : [];
    });
}

/** What people note stands below `public`, and is asked for with it or without. */
function valuesAt(metadata: object, path: string[]): unknown[] {
  return [valueAt(metadata, path), ...(path[0] === 'public' ? [] : [valueAt(metadata, ['public', ...path])])];
}

function valueAt(metadata: object, path: string[]): unknown {
  let value: unknown = metadata;
  for (const key of path) {
    // A list has keys too, but none that a path names.
    if (typeof value !== 'object' || value === null || Array.isArray(value) || !Object.hasOwn(value, key)) {
      return undefined;
    }
    value = (value as Record<string, unknown>)[key];
  }
  return value;
}

function hasRun(words: string[], wanted: string[]): boolean {
  return words.some((_, from) => wanted.every((word, index) => words[from + index] === word));
}

function hasLike(subject: string, pattern: Pattern): boolean {
  const texts = pattern.flatMap((one) => (typeof one === 'string' ? [] : [one.text]));
  if (texts.length > 0 && texts.every((text) => wordsOf(text).length === 0)) return false;
  const padded = ` ${wordsOf(subject).join(' ')} `;
  const words = pattern.map((one) => (typeof one === 'string' ? one : { text: wordText(one.text) }));
  // Where a word begins and ends, unless the pattern leaves that open.
  const begin: Sign[] = words[0] === '*' ? [] : ['any', ' '];
  const end: Sign[] = words.at(-1) === '*' ? [] : [' ', 'any'];
  const signs: Sign[] = [...begin, ...signsOf(words), ...end];
  // However much stands between two words, it is one blank.
  const single = signs.filter((sign, index) => sign !== ' ' || signs[index - 1] !== ' ');
  return isLike([...padded], single);
}

/** Letter by letter, and not as the product does it: NFKC, words of letters and digits, lower case, one kind of sigma. */
function wordsOf(text: string): string[] {
  const words = [''];
  for (const sign of text.normalize('NFKC')) {
    if (/[\p{Alphabetic}\p{Nd}]/u.test(sign)) words[words.length - 1] += lower(sign);
    else words.push('');
  }
  return words.filter((word) => word !== '');
}

function wordText(text: string): string {
  const signs = [...text].map((sign) => (/[\p{Alphabetic}\p{Nd}]/u.test(sign) ? lower(sign) : ' '));
  return signs.filter((sign, index) => sign !== ' ' || signs[index - 1] !== ' ').join('');
}

function lower(sign: string): string {
  return sign === 'ς' ? 'σ' : sign.toLowerCase();
}

type Sign = 'any' | 'one' | string;

/** A pattern as a list of code points, `any` for `*` and `one` for `?`. */
function signsOf(pattern: Pattern): Sign[] {
  return pattern.flatMap((one) => (one === '*' ? ['any'] : one === '?' ? ['one'] : [...one.text]));
}

/** True if the pattern covers the whole text. `reached`: how many characters the signs so far may have covered. */
function isLike(text: string[], signs: Sign[]): boolean {
  let reached = new Set([0]);
  for (const sign of signs) {
    const next = new Set<number>();
    for (const at of reached) {
      if (sign === 'any') for (let to = at; to <= text.length; to++) next.add(to);
      else if (at < text.length && (sign === 'one' || sign === text[at])) next.add(at + 1);
    }
    reached = next;
  }
  return reached.has(text.length);
}

/** Optimal string alignment: insertions, deletions, substitutions and swaps of two neighbours cost one each. */
function edits(a: string[], b: string[]): number {
  const costs = a.map(() => [0]);
  costs.push([0]);
  const cost = (i: number, j: number): number => costs[i]![j]!;
  for (let i = 0; i <= a.length; i++) {
    for (let j = 0; j <= b.length; j++) {
      if (i === 0 || j === 0) {
        costs[i]![j] = i + j;
        continue;
      }
      const isSame = a[i - 1] === b[j - 1];
      let least = Math.min(cost(i - 1, j) + 1, cost(i, j - 1) + 1, cost(i - 1, j - 1) + (isSame ? 0 : 1));
      const isSwap = i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1];
      if (isSwap) least = Math.min(least, cost(i - 2, j - 2) + 1);
      costs[i]![j] = least;
    }
  }
  return cost(a.length, b.length);
}

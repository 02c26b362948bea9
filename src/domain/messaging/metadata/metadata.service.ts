import { isDeepStrictEqual } from 'node:util';
import { InvalidInput } from '../../errors.ts';

export type Metadata = Record<string, unknown>;

const writableBySource = ['contact', 'source'];
/** Top keys with a meaning of their own. A source may write the first two. */
export const reservedKeys: readonly string[] = [
  ...writableBySource,
  'tags',
  'unread_count',
  'state',
  'user_data',
  'public',
  'error',
  'suggestions',
];
const deepestPath = 32;

function isObject(value: unknown): value is Metadata {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

// Null-prototype copies: `__proto__` is a key like another.
function emptyObject(): Metadata {
  return Object.create(null) as Metadata;
}

/**
 * Merges a patch into metadata and returns a new object: nested objects are merged, newer values replace, null removes,
 * dots in a key nest, and a later scalar beats an earlier subtree.
 */
export function mergeMetadata(before: Metadata, patch: Metadata): Metadata {
  const merged = copyOf(before);
  mergeInto(merged, patch);
  return merged;
}

/** A copy that may be merged into. Lists are values, kept as they are. */
export function copyOf(metadata: Metadata): Metadata {
  const copy = emptyObject();
  for (const [key, value] of Object.entries(metadata)) copy[key] = isObject(value) ? copyOf(value) : value;
  return copy;
}

/** The same, in place: many patches of one subject cost what they hold, not what the subject holds. */
export function mergeInto(target: Metadata, patch: Metadata): void {
  for (const [dotted, value] of Object.entries(patch)) {
    const path = dotted.split('.');
    if (path.length > deepestPath + 1) {
      throw new InvalidInput('metadata', `keys may nest at most ${deepestPath} levels`);
    }
    setAt(target, path, 0, value);
  }
}

function setAt(target: Metadata, path: string[], at: number, value: unknown): void {
  const key = path[at]!;
  const isLast = at === path.length - 1;
  if (isLast && value === null) delete target[key];
  else if (isLast && !isObject(value)) target[key] = value;
  else {
    const present = target[key];
    const child = isObject(present) ? present : emptyObject();
    if (isLast) mergeInto(child, value as Metadata);
    else setAt(child, path, at + 1, value);
    const saysNothing = isLast && isEmpty(value as Metadata);
    if (saysNothing || !isEmpty(child)) target[key] = child;
    // Removing the last key of a subtree removes the subtree; a scalar has none to remove and stays.
    else if (isObject(present)) delete target[key];
  }
}

function isEmpty(object: Metadata): boolean {
  for (const _ in object) return false;
  return true;
}

/** True when a merge changed nothing: a repeated batch then writes nothing and tells nobody. */
export function isSameMetadata(before: Metadata, after: Metadata): boolean {
  // As JSON, since the two differ in their prototypes.
  const plain = (metadata: Metadata): unknown => JSON.parse(JSON.stringify(metadata));
  return isDeepStrictEqual(plain(before), plain(after));
}

/** The reserved top key that a source's patch would write, or undefined. */
export function reservedKeyForSource(patch: Metadata): string | undefined {
  return Object.keys(patch)
    .map((key) => key.split('.')[0]!)
    .find((key) => reservedKeys.includes(key) && !writableBySource.includes(key));
}

/** What conversation metadata `contact.*` says of the contact; undefined where it says nothing usable. */
export interface ContactNaming {
  displayName?: string;
  firstName?: string;
  lastName?: string;
  avatarUrl?: string;
}

const longestName = 512;

/**
 * Reads the naming out of conversation metadata. Without first and last name, display_name splits at its last blank.
 */
export function contactNaming(metadata: Metadata): ContactNaming | undefined {
  const contact = metadata.contact;
  if (!isObject(contact)) return undefined;
  const text = (key: string): string | undefined => {
    const value = contact[key];
    return typeof value === 'string' && value.trim() !== '' ? value.slice(0, longestName) : undefined;
  };
  const displayName = text('display_name');
  let firstName = text('first_name');
  let lastName = text('last_name');
  if (displayName && !firstName && !lastName) {
    const blank = displayName.lastIndexOf(' ');
    firstName = blank > 0 ? displayName.slice(0, blank) : displayName;
    lastName = blank > 0 ? displayName.slice(blank + 1) : undefined;
  }
  const naming = {
    displayName: displayName ?? ([firstName, lastName].filter(Boolean).join(' ') || undefined),
    firstName,
    lastName,
    avatarUrl: text('avatar_url'),
  };
  return Object.values(naming).some((value) => value !== undefined) ? naming : undefined;
}

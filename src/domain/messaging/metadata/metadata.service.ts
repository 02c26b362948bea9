import { isDeepStrictEqual } from 'node:util';
import { InvalidInput } from '../../errors.ts';

export type Metadata = Record<string, unknown>;

/** Top keys with a meaning of their own. A source may write the first two. */
const writableBySource = ['contact', 'source'];
const reserved = ['tags', 'unread_count', 'state', 'user_data', 'public', 'error', 'suggestions'];
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
  const merged = Object.assign(emptyObject(), before);
  for (const [dotted, value] of Object.entries(patch)) {
    const [key, ...rest] = dotted.split('.') as [string, ...string[]];
    if (rest.length > deepestPath) throw new InvalidInput('metadata', `keys may nest at most ${deepestPath} levels`);
    const inner: unknown = rest.length === 0 ? value : Object.assign(emptyObject(), { [rest.join('.')]: value });
    if (inner === null) delete merged[key];
    else if (isObject(inner)) {
      const present = merged[key];
      const child = mergeMetadata(isObject(present) ? present : emptyObject(), inner);
      const isEmptied = Object.keys(child).length === 0 && Object.keys(inner).length > 0;
      if (!isEmptied) merged[key] = child;
      // Removing the last key of a subtree removes the subtree; a scalar has none to remove and stays.
      else if (isObject(present)) delete merged[key];
    } else merged[key] = inner;
  }
  return merged;
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
    .find((key) => reserved.includes(key) && !writableBySource.includes(key));
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

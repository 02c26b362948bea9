import type { ExactField, NumberField, WordsField } from './filter-tree.ts';

/** A field as a filter names it. `tag` is `metadata.tags.<id>`: the value behind it says nothing. */
export type Field =
  | { kind: 'exact'; field: Exclude<ExactField, 'state'> }
  | { kind: 'state' }
  | { kind: 'instant'; field: Exclude<NumberField, 'unread_count'> }
  | { kind: 'count'; field: 'unread_count' }
  | { kind: 'words'; field: WordsField }
  | { kind: 'tag'; id: string };

const state: Field = { kind: 'state' };
const displayName: Field = { kind: 'words', field: { kind: 'display_name' } };
const createdAt: Field = { kind: 'instant', field: 'created_at' };
const lastMessageAt: Field = { kind: 'instant', field: 'last_message_at' };
const unreadCount: Field = { kind: 'count', field: 'unread_count' };

/** Every field but those of metadata. A Map: `constructor` and `__proto__` are no names in it. */
const fields = new Map<string, Field>([
  ['id', { kind: 'exact', field: 'id' }],
  ['channel_id', { kind: 'exact', field: 'channel_id' }],
  ['source', { kind: 'exact', field: 'source' }],
  ['tag_ids', { kind: 'exact', field: 'tag_ids' }],
  ['assignee_id', { kind: 'exact', field: 'assignee_id' }],
  ['state', state],
  ['display_name', displayName],
  ['created_at', createdAt],
  ['createdAt', createdAt],
  ['last_message_at', lastMessageAt],
  ['lastMessageAt', lastMessageAt],
  ['unread_count', unreadCount],
  ['unreadCount', unreadCount],
  ['unread_message_count', unreadCount],
]);

/** What metadata shows of the conversation itself: such a path is not looked up in what is stored as metadata. */
const shownInMetadata: [path: string[], field: Field][] = [
  [['state'], state],
  [['unread_count'], unreadCount],
  [['contact', 'display_name'], displayName],
];

/** For messages. */
export const allowedFields = [...fields.keys(), 'metadata.tags.<id>', 'metadata.<path>'].join(', ');

/** The field of a name, given as its keys between the dots; undefined for an unknown one. Empty keys are none. */
export function fieldNamed([name, ...path]: readonly string[]): Field | undefined {
  if (name === undefined || path.includes('')) return undefined;
  if (path.length === 0) return fields.get(name);
  if (name !== 'metadata') return undefined;
  const shown = shownInMetadata.find(
    ([other]) => other.length === path.length && other.every((key, index) => key === path[index]),
  );
  if (shown) return shown[1];
  const [top, id] = path;
  if (top === 'tags' && id !== undefined && path.length === 2) return { kind: 'tag', id };
  return { kind: 'words', field: { kind: 'metadata', path } };
}

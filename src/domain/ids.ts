import { hash } from 'node:crypto';
import { uuidv7 } from 'uuidv7';

/** A new id of ours, rising with time. */
export function newId(): string {
  return uuidv7();
}

/**
 * The id of a thing that a source made, as Airy clients compute it: version 5 layout over SHA-1 of the plain
 * concatenation, without namespace bytes and without a separator (`a` + `bc` and `ab` + `c` collide), so every
 * look-up is scoped by the source as well.
 *
 * @see contracts, "Ids of source-made things"
 */
export function sourceThingId(sourceName: string, theirId: string): string {
  const bytes = hash('sha1', sourceName + theirId, 'buffer').subarray(0, 16);
  bytes[6] = (bytes[6]! & 0x0f) | 0x50;
  bytes[8] = (bytes[8]! & 0x3f) | 0x80;
  const hex = bytes.toString('hex');
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-${hex.slice(12, 16)}-${hex.slice(16, 20)}-${hex.slice(20)}`;
}

/** True for the one normal form of a UUID. PostgreSQL takes more forms (`{A688...}`): check before asking it. */
export function isUuid(text: string): boolean {
  return /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/.test(text);
}

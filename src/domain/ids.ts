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
  const hex = hash('sha1', sourceName + theirId, 'hex');
  const variant = variants[Number.parseInt(hex[16]!, 16) & 0b11];
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-5${hex.slice(13, 16)}-${variant}${hex.slice(17, 20)}-${hex.slice(20, 32)}`;
}

/** The digit behind the layout's two bits `10`. */
const variants = '89ab';

/** True for the one normal form of a UUID. PostgreSQL takes more forms (`{A688...}`): check before asking it. */
export function isUuid(text: string): boolean {
  return /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/.test(text);
}

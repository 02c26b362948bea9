import { InvalidInput } from '../domain/errors.ts';
import { isUuid } from '../domain/ids.ts';

/** Opaque id of a stored thing, unique over all types: base64url of `<Type>:<id>`. */
export function globalId(type: string, id: string): string {
  return Buffer.from(`${type}:${id}`).toString('base64url');
}

/** @returns undefined when the text is no opaque id */
export function parseGlobalId(text: string): { type: string; id: string } | undefined {
  const match = /^([A-Za-z]+):([^\0]+)$/s.exec(Buffer.from(text, 'base64url').toString());
  return match && globalId(match[1]!, match[2]!) === text ? { type: match[1]!, id: match[2]! } : undefined;
}

/**
 * The bare id out of an argument that names one type: the opaque form or the bare UUID.
 *
 * @throws InvalidInput naming `path`
 */
export function uuidOf(type: string, text: string, path: string): string {
  if (isUuid(text)) return text;
  const parsed = parseGlobalId(text);
  if (parsed && parsed.type !== type)
    throw new InvalidInput(path, `must be the id of a ${type}, got one of a ${parsed.type}`);
  if (!parsed || !isUuid(parsed.id))
    throw new InvalidInput(path, `must be the id of a ${type}: as an answer gave it, or its bare UUID in lower case`);
  return parsed.id;
}

/** The same for an argument that may be left out. */
export function optionalUuidOf(type: string, text: string | null | undefined, path: string): string | null | undefined {
  return text == null ? text : uuidOf(type, text, path);
}

/** The name of a source, or its opaque id. */
export function sourceNameOf(text: string): string {
  const parsed = parseGlobalId(text);
  return parsed?.type === 'Source' ? parsed.id : text;
}

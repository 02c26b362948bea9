import { maxDepth, maxOutputBytes, ScriptError } from './script.ts';

const hidden = new Set(['constructor', '__proto__', 'prototype']);

/**
 * Reads bindings: objects have no prototype, and names that lead to one, or that JSONata keeps for itself, are left out.
 *
 * @throws ScriptError nested too deeply
 */
export function readBindings(json: string): Record<string, unknown> {
  return plain(JSON.parse(json), 0) as Record<string, unknown>;
}

function plain(value: unknown, depth: number): unknown {
  if (typeof value !== 'object' || value === null) return value;
  if (depth > maxDepth) throw new ScriptError(`the bindings are nested more than ${maxDepth} levels deep`);
  if (Array.isArray(value)) return value.map((item) => plain(item, depth + 1));
  const copy: Record<string, unknown> = Object.create(null);
  for (const [key, item] of Object.entries(value)) {
    // A value that says it is a function of JSONata would be taken for one, and its body evaluated.
    if (!hidden.has(key) && !key.startsWith('_jsonata_')) copy[key] = plain(item, depth + 1);
  }
  return copy;
}

const tooLarge = `the result is larger than ${maxOutputBytes / 1_024} KiB`;

/**
 * The JSON value of a result: own keys alone, `undefined` as null.
 *
 * @throws ScriptError a function, a number that JSON does not have, too deep, or more than 256 KiB
 */
export function jsonOf(value: unknown): unknown {
  const left = { chars: maxOutputBytes };
  const copy = copyOf(value, 0, left);
  if (Buffer.byteLength(JSON.stringify(copy)) > maxOutputBytes) throw new ScriptError(tooLarge);
  return copy;
}

// Counted on the way: a value that holds another many times is small in memory and endless when written out.
function copyOf(value: unknown, depth: number, left: { chars: number }): unknown {
  left.chars -= typeof value === 'string' ? value.length + 2 : 1;
  if (left.chars < 0) throw new ScriptError(tooLarge);
  if (value === undefined || value === null) return null;
  if (typeof value === 'string' || typeof value === 'boolean') return value;
  if (typeof value === 'number') {
    if (!Number.isFinite(value)) throw new ScriptError(`the result holds a number that JSON does not have: ${value}`);
    return value;
  }
  if (typeof value !== 'object' || isFunctionOfJsonata(value)) {
    throw new ScriptError('the result is, or holds, a function: call it, or leave it out');
  }
  if (depth >= maxDepth) throw new ScriptError(`the result is nested more than ${maxDepth} levels deep`);
  if (Array.isArray(value)) return Array.from(value, (item) => copyOf(item, depth + 1, left));
  const copy: Record<string, unknown> = {};
  for (const [key, item] of Object.entries(value)) {
    left.chars -= key.length + 3;
    if (key !== '__proto__') copy[key] = copyOf(item, depth + 1, left);
  }
  return copy;
}

function isFunctionOfJsonata(value: object): boolean {
  return Object.hasOwn(value, '_jsonata_lambda') || Object.hasOwn(value, '_jsonata_function');
}

import JSON5 from 'json5';
import type { Json } from './app.ts';

/** A sample of a contract's document: bare keys, comments and trailing commas are allowed there, not on the wire. */
export const sample = (text: string): Json => JSON5.parse(text);

/**
 * Where an answer lacks a field that the document's sample has, or has it with another type. More fields are welcome:
 * the answers are a superset. A sample's null says nothing of the type; an empty list fits a list of plain values.
 */
export function shapeFaults(expected: Json, got: Json, path = 'answer'): string[] {
  if (expected === null) return got === undefined ? [`${path} is missing`] : [];
  if (kindOf(expected) !== kindOf(got)) return [`${path} must be ${kindOf(expected)}, is ${kindOf(got)}`];
  if (Array.isArray(expected)) return listFaults(expected, got, path);
  if (typeof expected !== 'object') return [];
  return Object.keys(expected).flatMap((key) => shapeFaults(expected[key], got[key], `${path}.${key}`));
}

// Each item of ours must fit one of the sample's: its items show which fields are optional.
function listFaults(expected: Json[], got: Json[], path: string): string[] {
  const holdsObjects = expected.some((item) => typeof item === 'object');
  if (got.length === 0) return holdsObjects && expected.length > 0 ? [`${path} is empty`] : [];
  return got.flatMap((item, index) => {
    const faults = expected.map((one) => shapeFaults(one, item, `${path}[${index}]`));
    return faults.length === 0 || faults.some((list) => list.length === 0) ? [] : faults[0]!;
  });
}

function kindOf(value: unknown): string {
  if (value === undefined) return 'missing';
  if (value === null) return 'null';
  return Array.isArray(value) ? 'array' : typeof value;
}

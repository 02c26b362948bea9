import { readdirSync } from 'node:fs';
import { basename } from 'node:path';
import { parse } from 'graphql';
import type { z } from 'zod';
import type { Row } from '../../src/rest/run-row.ts';

const contracts = new URL('../../src/rest/contracts/', import.meta.url);
export const anyUuid = '3f2b8a6e-5c1d-4e7f-9a0b-1c2d3e4f5a6b';

/** Every row of every contract's table, whatever file it stands in. */
export async function restRows(): Promise<[name: string, row: Row][]> {
  const rows = new Map<string, Row>();
  for (const file of readdirSync(contracts).filter((name) => name.endsWith('.ts'))) {
    const module = (await import(`../../src/rest/contracts/${basename(file)}`)) as Record<string, unknown>;
    for (const table of Object.values(module).filter(isTable)) {
      for (const [name, row] of Object.entries(table)) rows.set(name, row);
    }
  }
  return [...rows];
}

function isTable(value: unknown): value is Record<string, Row> {
  if (typeof value !== 'object' || value === null) return false;
  const values = Object.values(value);
  return values.length > 0 && values.every((one) => typeof (one as Row | null)?.runs === 'string');
}

/** The root field that a row runs. */
export function rootFieldOf(row: Row): string {
  const [definition] = parse(row.runs).definitions;
  const [selection] = definition?.kind === 'OperationDefinition' ? definition.selectionSet.selections : [];
  if (selection?.kind !== 'Field') throw new Error(`no root field in ${row.runs}`);
  return selection.name.value;
}

type Schema = z.core.$ZodType;
type Path = (string | number)[];

/** What a field takes; `refuses` is true for a value that the shape itself must turn down. */
export interface Field {
  path: Path;
  /** `messages[0].sent_at`, as faults name it. */
  name: string;
  required: boolean;
  refuses(value: unknown): boolean;
}

const defOf = (schema: Schema) => (schema as z.core.$ZodTypes)._zod.def;

/** A body that fits the shape; `known` gives values by the name of the field. Optional plain values are left out. */
export function sampleBody(schema: Schema, known: Record<string, unknown> = {}): Record<string, unknown> {
  return sample(schema, known) as Record<string, unknown>;
}

function sample(schema: Schema, known: Record<string, unknown>): unknown {
  const def = defOf(schema);
  switch (def.type) {
    case 'pipe':
      return sample(def.in, known);
    case 'optional':
    case 'nullable':
      return sample(def.innerType, known);
    case 'object':
      return Object.fromEntries(
        Object.entries(def.shape)
          .filter(([name, field]) => Object.hasOwn(known, name) || isRequired(field) || holdsFields(field))
          .map(([name, field]) => [name, Object.hasOwn(known, name) ? known[name] : sample(field, known)]),
      );
    case 'array':
      return [sample(def.element, known)];
    case 'record':
    case 'custom':
      return {};
    case 'string':
      return isUuidField(schema) ? anyUuid : 'x';
    case 'number':
      return 1;
    case 'boolean':
      return false;
    case 'literal':
      return def.values[0];
    case 'unknown':
      return 1_600_000_000_000;
    default:
      throw new Error(`no sample for ${def.type}: teach it to test/support/rest-rows.ts`);
  }
}

function inner(schema: Schema): Schema {
  const def = defOf(schema);
  if (def.type === 'pipe') return inner(def.in);
  return def.type === 'optional' || def.type === 'nullable' ? inner(def.innerType) : schema;
}

const isRequired = (schema: Schema): boolean =>
  refusal(schema)(undefined) || (defOf(schema).type !== 'optional' && defOf(inner(schema)).type === 'unknown');
const holdsFields = (schema: Schema): boolean => ['array', 'record'].includes(defOf(inner(schema)).type);
const isUuidField = (schema: Schema): boolean =>
  (defOf(schema) as { checks?: { _zod: { def: { format?: string } } }[] }).checks?.some(
    ({ _zod }) => _zod.def.format === 'regex',
  ) ?? false;

/** Every field of a body, those inside lists as the first item's. */
export function fieldsOf(schema: Schema, path: Path = []): Field[] {
  const unwrapped = inner(schema);
  const def = defOf(unwrapped);
  if (def.type === 'array') return fieldsOf(def.element, [...path, 0]);
  if (def.type !== 'object') return [];
  return Object.entries(def.shape).flatMap(([name, field]) => {
    const here = [...path, name];
    return [
      { path: here, name: nameOf(here), required: isRequired(field), refuses: refusal(field) },
      ...fieldsOf(field, here),
    ];
  });
}

function nameOf(path: Path): string {
  return path
    .map((part) => (typeof part === 'number' ? `[${part}]` : `.${part}`))
    .join('')
    .replace(/^\./, '');
}

interface BoundCheck {
  _zod: { def: { check: string; value: number } };
}

function boundsOf(schema: Schema): [least: number, most: number] {
  const { checks = [] } = defOf(schema) as { checks?: BoundCheck[] };
  const of = (kind: string) => checks.find(({ _zod }) => _zod.def.check === kind)?._zod.def.value;
  return [of('greater_than') ?? Number.NEGATIVE_INFINITY, of('less_than') ?? Number.POSITIVE_INFINITY];
}

// An independent reading of what a shape takes: by the kind of value alone.
function refusal(schema: Schema): (value: unknown) => boolean {
  const def = defOf(schema);
  switch (def.type) {
    case 'pipe':
      return refusal(def.in);
    case 'optional':
      return (value) => value !== undefined && refusal(def.innerType)(value);
    case 'nullable':
      return (value) => value !== null && refusal(def.innerType)(value);
    case 'union': {
      const options = def.options.map(refusal);
      return (value) => options.every((refuses) => refuses(value));
    }
    case 'object':
    case 'record':
    // The one of ours: an object of any keys.
    case 'custom':
      return (value) => typeof value !== 'object' || value === null || Array.isArray(value);
    case 'array':
      return (value) => !Array.isArray(value);
    case 'string':
      return isUuidField(schema)
        ? (value) => typeof value !== 'string' || !/^[0-9a-f-]{36}$/.test(value)
        : (value) => typeof value !== 'string';
    case 'number': {
      const [least, most] = boundsOf(schema);
      return (value) => !Number.isSafeInteger(value) || Number(value) < least || Number(value) > most;
    }
    case 'boolean':
      return (value) => typeof value !== 'boolean';
    case 'literal':
      return (value) => !def.values.includes(value as string);
    default:
      return () => false;
  }
}

/** A copy of a body with another value at a place; `undefined` takes the field away. */
export function withValue(body: unknown, [part, ...rest]: Path, value: unknown): unknown {
  const copy = (Array.isArray(body) ? [...body] : { ...(body as object) }) as Record<string | number, unknown>;
  if (rest.length > 0) copy[part!] = withValue(copy[part!], rest, value);
  else if (value === undefined) delete copy[part!];
  else copy[part!] = value;
  return copy;
}

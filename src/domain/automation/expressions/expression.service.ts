import { allow } from '../../access.ts';
import type { Ctx } from '../../context.ts';
import { InvalidInput } from '../../errors.ts';
import { oversizedJson } from '../../text.ts';
import { mostInput, type Outcome, type Script, type ScriptFault, type TemplatePlace } from './script.ts';
import { ScriptPool } from './script-pool.ts';

export type { Outcome, Script, ScriptFault, TemplatePlace } from './script.ts';

const pool = new ScriptPool();

/** Whether scripts parse and may stand where they do: a fault for each that does not. Used when something is saved. */
export async function checkScripts(scripts: Script[]): Promise<(ScriptFault | undefined)[]> {
  const outcomes = await pool.run({ do: 'check', scripts });
  return outcomes.map((outcome) => (outcome.ok ? undefined : outcome.fault));
}

/**
 * Runs several scripts over one set of namespaces: an outcome for each, in order. The fault of one does not stop the others,
 * but all together have 500 ms. `undefined` of an expression becomes null.
 *
 * @throws Unavailable too much waits
 * @see contracts, "Expressions and templates"
 */
export async function runScripts(scripts: Script[], bindings: Record<string, unknown>): Promise<Outcome[]> {
  const json = JSON.stringify(bindings);
  if (json.length <= mostInput) return pool.run({ do: 'run', scripts, bindings: json });
  const message = `what it may look at must be at most ${mostInput} bytes as JSON, and is ${json.length}`;
  return scripts.map(() => ({ ok: false, fault: { message } }));
}

/** Ends the processes; the next call begins them anew. */
export function stopScripts(): void {
  pool.stop();
}

/** Of a try: the value, or the fault with its place. */
export interface Tried {
  value: unknown;
  fault: (ScriptFault & { line?: number; column?: number }) | null;
}

/** Tries an expression over given namespaces. @throws InvalidInput the namespaces */
export async function runExpression(
  ctx: Ctx,
  { expression, bindings }: { expression: string; bindings?: unknown },
): Promise<Tried> {
  allow(ctx, 'runExpression');
  const [outcome] = await runScripts([{ kind: 'expression', source: expression }], checkedBindings(bindings));
  return tried(outcome!, expression);
}

/** Tries a template over given namespaces, and names the variables that they do not have. @throws InvalidInput the namespaces */
export async function previewTemplate(
  ctx: Ctx,
  { template, place, bindings }: { template: unknown; place: TemplatePlace; bindings?: unknown },
): Promise<Tried & { unknownVariables: string[] }> {
  allow(ctx, 'previewTemplate');
  const unfit = oversizedJson(template);
  if (unfit) throw new InvalidInput('template', unfit);
  const given = checkedBindings(bindings);
  const script: Script = { kind: 'template', source: template, place };
  const [[outcome], [named]] = await Promise.all([
    runScripts([script], given),
    pool.run({ do: 'variables', scripts: [script] }),
  ]);
  const names = named?.ok ? (named.value as string[]) : [];
  return {
    ...tried(outcome!, typeof template === 'string' ? template : undefined),
    unknownVariables: names.filter((name) => !isThere(name, given)),
  };
}

function checkedBindings(bindings: unknown): Record<string, unknown> {
  if (bindings == null) return {};
  if (typeof bindings !== 'object' || Array.isArray(bindings)) throw new InvalidInput('bindings', 'must be an object');
  const unfit = oversizedJson(bindings, undefined, mostInput);
  if (unfit) throw new InvalidInput('bindings', unfit);
  return bindings as Record<string, unknown>;
}

function tried(outcome: Outcome, source: string | undefined): Tried {
  if (outcome.ok) return { value: outcome.value, fault: null };
  const { fault } = outcome;
  if (source === undefined || fault.position === undefined) return { value: null, fault };
  const before = source.slice(0, fault.position - 1).split('\n');
  return { value: null, fault: { ...fault, line: before.length, column: before.at(-1)!.length + 1 } };
}

/** @param name such as `contact.address.city`; an index counts as there */
function isThere(name: string, bindings: Record<string, unknown>): boolean {
  let at: unknown = bindings;
  for (const part of name.split(/[.[]/)) {
    if (part.endsWith(']')) return true;
    if (typeof at !== 'object' || at === null || !Object.hasOwn(at, part)) return false;
    at = (at as Record<string, unknown>)[part];
  }
  return true;
}

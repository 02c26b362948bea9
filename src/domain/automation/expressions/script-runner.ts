import { readBindings } from './json-value.ts';
import { compileExpression, type Expression } from './jsonata-engine.ts';
import { type CompiledTemplate, compileTemplate, variablesOf, type Writing } from './liquid-engine.ts';
import { inPlainWords, type Outcome, type Script, ScriptError, type ScriptFault, type Task } from './script.ts';
import { placeTemplate } from './template-places.ts';

/** Bounds of what is kept compiled: entries, and characters of their sources together. */
const maxKept = 1_000;
const maxKeptChars = 500_000;
const mostUnknown = 100;

/** Keeps what was used last. @throws what `make` throws, which is not kept */
class Kept<T> {
  readonly #entries = new Map<string, T>();
  #chars = 0;

  get(key: string, make: () => T): T {
    const known = this.#entries.get(key);
    const value = known ?? make();
    if (known !== undefined) this.#entries.delete(key);
    else this.#chars += key.length;
    this.#entries.set(key, value);
    for (const oldest of this.#entries.keys()) {
      if (this.#entries.size <= maxKept && this.#chars <= maxKeptChars) break;
      this.#entries.delete(oldest);
      this.#chars -= oldest.length;
    }
    return value;
  }
}

const expressions = new Kept<Expression>();
const templates = new Kept<CompiledTemplate>();
const compile = (source: string, writing: Writing) =>
  templates.get(`${writing} ${source}`, () => compileTemplate(source, writing));
const expressionOf = (source: string) => expressions.get(source, () => compileExpression(source));

/**
 * Does one task with one script. Never throws. Not twice at once: the guards of a compiled expression hold one evaluation.
 *
 * `check` has no value, `run` the script's own, `unknownVariables` the names that a template reads and the bindings lack.
 */
export async function runScript(task: Task, script: Script, bindings: string): Promise<Outcome> {
  try {
    return { ok: true, value: await perform(task, script, bindings) };
  } catch (error) {
    return { ok: false, fault: faultIn(error) };
  }
}

async function perform(task: Task, script: Script, bindings: string): Promise<unknown> {
  if (script.kind === 'expression') {
    const expression = expressionOf(script.source);
    if (task === 'run') return expression(readBindings(bindings));
    return task === 'check' ? null : [];
  }
  const template = placeTemplate(script.source, script.place, compile);
  if (task === 'run') return template.render(readBindings(bindings));
  if (task === 'check') return null;
  return unknownVariables(template.compiled, readBindings(bindings));
}

function unknownVariables(compiled: CompiledTemplate[], bindings: Record<string, unknown>): string[] {
  const unknown = new Set<string>();
  for (const path of compiled.flatMap(variablesOf)) {
    const named = path.slice(0, path.findIndex((part) => Array.isArray(part)) >>> 0) as (string | number)[];
    if (!isIn(bindings, named)) unknown.add(named.join('.'));
  }
  return [...unknown].sort().slice(0, mostUnknown);
}

/** What Liquid answers of every list and text, without a key of that name. */
const derived = new Set(['size', 'first', 'last']);

function isIn(value: unknown, path: (string | number)[]): boolean {
  let at = value;
  for (const part of path) {
    if (derived.has(String(part)) && (typeof at === 'string' || Array.isArray(at))) return true;
    if (typeof at !== 'object' || at === null || !Object.hasOwn(at, part)) return false;
    at = (at as Record<string, unknown>)[part];
  }
  return true;
}

function faultIn(error: unknown): ScriptFault {
  if (error instanceof ScriptError) return { message: error.message, position: error.position };
  return { message: error instanceof Error ? inPlainWords(error.message) : 'it failed' };
}

import { allow } from '../../access.ts';
import type { Ctx } from '../../context.ts';
import {
  faultOf,
  maxBindingsBytes,
  maxExpressionBytes,
  maxTemplateBytes,
  type Outcome,
  type Script,
  type ScriptFault,
  type Task,
  type TemplatePlace,
} from './script.ts';
import { WorkerPool } from './worker-pool.ts';

// Neither jsonata nor liquidjs is loaded here: they live in the processes of the pool alone.

export type { Outcome, Script, ScriptFault, TemplatePlace } from './script.ts';

/** One for this process; it starts nothing before the first script. */
const pool = new WorkerPool();

/**
 * Looks whether expressions and templates parse and use only what is to be had: what is asked of them when they are saved.
 *
 * Undefined for each that is all right, the fault of each that is not, in order.
 *
 * @throws Unavailable too many wait
 */
export async function checkScripts(scripts: Script[]): Promise<(ScriptFault | undefined)[]> {
  const outcomes = await perform('check', scripts, {});
  return outcomes.map((outcome) => (outcome.ok ? undefined : outcome.fault));
}

/**
 * Runs several at once against one set of bindings: an outcome for each, in order. A fault of one does not stop the
 * others, until together they have run for two seconds.
 *
 * An expression gives a JSON value, null where JSONata has none. A template gives text, at the place `json` a JSON value,
 * at the place `url` the address as it will be called. `bindings` are read as JSON: a Date is its ISO 8601 text.
 *
 * @throws Unavailable too many wait
 */
export function runScripts(scripts: Script[], bindings: Record<string, unknown>): Promise<Outcome[]> {
  return perform('run', scripts, bindings);
}

/** Ends the processes that run scripts; a script after that starts them again. */
export function stopScripts(): Promise<void> {
  return pool.stop();
}

/** What came of trying a script: the value, or the fault with its place. */
export interface ScriptTrial {
  value: unknown;
  fault?: ScriptFault & { line?: number; column?: number };
}

/** Evaluates an expression for the one who writes it. @throws Unavailable too many wait */
export async function runExpression(
  ctx: Ctx,
  { expression, bindings }: { expression: string; bindings: Record<string, unknown> },
): Promise<ScriptTrial> {
  allow(ctx, 'runExpression');
  const [outcome] = await runScripts([{ kind: 'expression', source: expression }], bindings);
  return trialOf(outcome!, expression);
}

/**
 * Renders a template for the one who writes it, and tells which names it reads that the bindings do not have, 100 at most.
 *
 * @throws Unavailable too many wait
 */
export async function previewTemplate(
  ctx: Ctx,
  { template, place, bindings }: { template: unknown; place: TemplatePlace; bindings: Record<string, unknown> },
): Promise<ScriptTrial & { unknownVariables: string[] }> {
  allow(ctx, 'previewTemplate');
  const scripts: Script[] = [{ kind: 'template', source: template, place }];
  const [[outcome], [names]] = await Promise.all([
    runScripts(scripts, bindings),
    perform('unknownVariables', scripts, bindings),
  ]);
  return { ...trialOf(outcome!, template), unknownVariables: names?.ok ? (names.value as string[]) : [] };
}

function trialOf(outcome: Outcome, source: unknown): ScriptTrial {
  if (outcome.ok) return { value: outcome.value };
  const { position } = outcome.fault;
  if (position === undefined || typeof source !== 'string') return { value: null, fault: outcome.fault };
  const lines = source.slice(0, position - 1).split('\n');
  return { value: null, fault: { ...outcome.fault, line: lines.length, column: lines.at(-1)!.length + 1 } };
}

async function perform(task: Task, scripts: Script[], bindings: Record<string, unknown>): Promise<Outcome[]> {
  const json = jsonText(bindings);
  const unfit = fault(json, maxBindingsBytes, 'the bindings');
  const outcomes = scripts.map((script) => unfit ?? oversized(script));
  const fit = scripts.filter((_, index) => !outcomes[index]);
  // What does not fit did not go there.
  const done = (await pool.run(task, fit, json ?? '')).values();
  return outcomes.map((outcome) => outcome ?? done.next().value!);
}

function oversized(script: Script): Outcome | undefined {
  if (script.kind === 'template') return fault(jsonText(script.source), maxTemplateBytes, 'the template');
  const source = script.source as unknown;
  return fault(typeof source === 'string' ? source : undefined, maxExpressionBytes, 'the expression');
}

function fault(text: string | undefined, maxBytes: number, what: string): Outcome | undefined {
  if (text === undefined) return { ok: false, fault: { message: `${what} cannot be written as JSON` } };
  const bytes = Buffer.byteLength(text);
  if (bytes <= maxBytes) return undefined;
  return { ok: false, fault: faultOf({ message: `${what} may have ${maxBytes} bytes at most, not ${bytes}` }) };
}

// Undefined for what holds itself, holds a BigInt, or is nested beyond the stack.
function jsonText(value: unknown): string | undefined {
  try {
    return JSON.stringify(value);
  } catch {
    return undefined;
  }
}

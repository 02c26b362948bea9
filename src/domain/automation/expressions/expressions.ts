import jsonata from 'jsonata';
import { SafeRegExp } from './safe-regexp.ts';
import { mostOutput, mostSource, ScriptFailed } from './script.ts';

/** Inner bounds; the worker is ended from outside where a built-in function goes past them. */
const guards = { timeout: 200, stack: 500, sequence: 100_000, RegexEngine: SafeRegExp as unknown as RegExpConstructor };
const mostTries = 5;
const mostCompiled = 500;
const compiled = new Map<string, jsonata.Expression>();

/** @throws ScriptFailed it does not parse */
export function compileExpression(source: string): jsonata.Expression {
  const known = compiled.get(source);
  if (known) return known;
  if (source.length > mostSource.expression) {
    throw new ScriptFailed(`an expression must be at most ${mostSource.expression} characters`);
  }
  let expression: jsonata.Expression;
  try {
    expression = jsonata(source, guards);
    checkRegexes(expression.ast());
  } catch (error) {
    throw failureOf(error);
  }
  // What a text says must not become code.
  expression.registerFunction('eval', () => {
    throw new ScriptFailed('$eval is not available');
  });
  if (compiled.size >= mostCompiled) compiled.clear();
  compiled.set(source, expression);
  return expression;
}

// A pattern that cannot be matched in linear time is refused when it is saved, not when it is met.
function checkRegexes(node: unknown): void {
  if (typeof node !== 'object' || node === null) return;
  if (node instanceof RegExp) {
    new SafeRegExp(node);
    return;
  }
  for (const inner of Object.values(node)) checkRegexes(inner);
}

/** @param bindings plain data without prototypes @throws ScriptFailed */
export async function runExpression(source: string, bindings: unknown): Promise<unknown> {
  const expression = compileExpression(source);
  for (let tries = 1; ; tries += 1) {
    const before = process.cpuUsage();
    try {
      return plain(await expression.evaluate(bindings));
    } catch (error) {
      const { user, system } = process.cpuUsage(before);
      // Its clock is the wall's: on a busy machine time passes in which it does not run.
      const isStarved = (error as { code?: unknown }).code === 'D1012' && (user + system) / 1000 < guards.timeout / 2;
      if (!isStarved || tries === mostTries) throw failureOf(error);
    }
  }
}

// As JSON and back: sequences lose what makes them sequences, and nothing but data leaves the worker.
function plain(value: unknown): unknown {
  if (value === undefined) return null;
  let json: string | undefined;
  try {
    json = JSON.stringify(value, (_, inner: unknown) => {
      if (isFunction(inner)) throw new ScriptFailed('the value is a function: call it, or leave it out');
      return inner;
    });
  } catch (error) {
    throw error instanceof ScriptFailed ? error : new ScriptFailed('the value is no JSON value');
  }
  if (json === undefined) return null;
  if (json.length > mostOutput) throw new ScriptFailed(`the value must be at most ${mostOutput} bytes as JSON`);
  return JSON.parse(json);
}

function isFunction(value: unknown): boolean {
  if (typeof value === 'function') return true;
  if (typeof value !== 'object' || value === null) return false;
  return '_jsonata_lambda' in value || '_jsonata_function' in value;
}

function failureOf(error: unknown): ScriptFailed {
  if (error instanceof ScriptFailed) return error;
  if (error instanceof RangeError) return new ScriptFailed('it nests too deeply');
  const { message, position } = error as { message?: unknown; position?: unknown };
  const text = typeof message === 'string' && message !== '' ? message : 'it failed';
  return new ScriptFailed(text.slice(0, 500), typeof position === 'number' ? Math.max(1, position) : undefined);
}

import jsonata from 'jsonata';
import { jsonOf } from './json-value.ts';
import { LinearRegExp, linearRegex } from './regex-engine.ts';
import { inPlainWords, maxOutputBytes, ScriptError } from './script.ts';

const timeoutMs = 200;
/** The library's clock is the wall's: an evaluation that had less of the processor by then is begun again. */
const fairShareMs = timeoutMs / 2;
const mostTries = 5;
/** Calls inside each other: far from what the stack of a process holds. */
const maxStack = 500;
const maxSequence = 100_000;
/** Longer texts could not be answered anyway, and doubling one ends here before it fills the memory. */
const maxTextChars = maxOutputBytes;

/** An expression that can be evaluated again and again, though not twice at once: the guards keep their state in it. */
export type Expression = (bindings: Record<string, unknown>) => Promise<unknown>;

interface AstNode {
  type?: string;
  value?: unknown;
  position?: number;
}

/** A function that JSONata brings along, as it keeps it. */
interface BuiltIn {
  implementation: (...given: unknown[]) => unknown;
}

const tooLong = new ScriptError(`a text grew longer than ${maxTextChars} characters`);

/** @throws ScriptError it does not parse, or uses what is not to be had here */
export function compileExpression(source: string): Expression {
  let expression: jsonata.Expression;
  try {
    expression = jsonata(source, {
      timeout: timeoutMs,
      stack: maxStack,
      sequence: maxSequence,
      // It is only ever called as `new RegexEngine(literal)`.
      RegexEngine: LinearRegExp as unknown as RegExpConstructor,
    });
  } catch (error) {
    throw readable(error, source);
  }
  refuseWhatIsNotToBeHad(expression.ast(), source);
  const isBound = bindGuards(expression);
  return async (bindings) => {
    for (let tries = 1; ; tries += 1) {
      const before = process.cpuUsage();
      try {
        await isBound;
        return jsonOf(await expression.evaluate(bindings));
      } catch (error) {
        const { user, system } = process.cpuUsage(before);
        const isStarved = (error as { code?: unknown }).code === 'D1012' && (user + system) / 1_000 < fairShareMs;
        if (!isStarved || tries === mostTries) throw readable(error, source);
      }
    }
  };
}

function refuseWhatIsNotToBeHad(ast: unknown, source: string): void {
  const seen = new Set<unknown>();
  const open = [ast];
  for (let node = open.pop(); open.length > 0 || node !== undefined; node = open.pop()) {
    if (typeof node !== 'object' || node === null || seen.has(node)) continue;
    seen.add(node);
    const { type, value, position } = node as AstNode;
    if (type === 'variable' && value === 'eval') {
      throw new ScriptError('$eval is not available: a value is never run as an expression', placeIn(source, position));
    }
    if (type === 'regex' && value instanceof RegExp) {
      try {
        linearRegex(value);
      } catch (error) {
        throw new ScriptError((error as Error).message, placeIn(source, position));
      }
    }
    open.push(...Object.values(node));
  }
}

const found = new Map<string, Promise<BuiltIn>>();

function builtIn(name: string): Promise<BuiltIn> {
  const known = found.get(name) ?? (jsonata(`$${name}`).evaluate(null) as Promise<BuiltIn>);
  found.set(name, known);
  return known;
}

// The library's own limits are looked at between the steps of an expression; these functions can fill the memory in one.
async function bindGuards(expression: jsonata.Expression): Promise<void> {
  expression.registerFunction('eval', () => {
    throw new ScriptError('$eval is not available: a value is never run as an expression');
  });
  const guard = async (name: string, look: (given: unknown[]) => void) => {
    const original = await builtIn(name);
    const implementation = function (this: unknown, ...given: unknown[]) {
      look(given);
      return original.implementation.apply(this, given);
    };
    expression.assign(name, { ...original, implementation });
  };
  await guard('pad', ([text, width]) => {
    if (Math.abs(Number(width)) > maxTextChars || isTooLong(text)) throw tooLong;
  });
  await guard('join', ([texts, separator = '']) => {
    if (!Array.isArray(texts)) return;
    let chars = texts.length * String(separator).length;
    for (const text of texts) chars += String(text).length;
    if (chars > maxTextChars) throw tooLong;
  });
  await guard('string', ([value]) => {
    if (typeof value === 'object' && value !== null) refuseLongTexts(value);
  });
  // Looked up under this name after each step.
  expression.assign(
    Symbol.for('jsonata.__evaluate_exit') as unknown as string,
    (_node: unknown, _input: unknown, _environment: unknown, result: unknown) => {
      if (isTooLong(result)) throw tooLong;
    },
  );
}

function isTooLong(value: unknown): boolean {
  return typeof value === 'string' && value.length > maxTextChars;
}

// Counts what JSON.stringify would write, and stops counting where it would go too far.
function refuseLongTexts(value: object): void {
  let chars = 0;
  const open: unknown[] = [value];
  for (let item = open.pop(); item !== undefined; item = open.pop()) {
    chars += typeof item === 'string' ? item.length : 1;
    if (chars > maxTextChars) throw tooLong;
    if (typeof item !== 'object' || item === null) continue;
    for (const [key, inner] of Object.entries(item)) {
      chars += key.length;
      if (inner !== undefined) open.push(inner);
    }
  }
}

// JSONata throws plain objects with a code, a message and mostly a position.
function readable(error: unknown, source: string): ScriptError {
  if (error instanceof ScriptError) return error;
  const { message, position } = error as { message?: unknown; position?: number };
  const text = typeof message === 'string' ? inPlainWords(message) : 'the expression failed';
  return new ScriptError(text, placeIn(source, position));
}

function placeIn(source: string, position: unknown): number | undefined {
  return typeof position === 'number' ? Math.min(Math.max(position, 1), source.length || 1) : undefined;
}

import { filters, Liquid, Output, type Template, Tokenizer, TokenKind } from 'liquidjs';
import { inPlainWords, ScriptError } from './script.ts';

/** How values are written: as they are, for HTML, as a part of a URL, or not as text at all. */
export type Writing = 'text' | 'html' | 'url' | 'value';

export interface CompiledTemplate {
  parts: Template[];
  /** Text, and with the writing `value` what the one output has. @throws ScriptError */
  render(bindings: Record<string, unknown>): unknown;
}

const refusedTags: Record<string, string> = {
  include: 'a template cannot take in another one',
  render: 'a template cannot take in another one',
  layout: 'a template cannot take in another one',
  block: 'it belongs to layouts, which are not available',
  // It writes values past the escaping.
  cycle: 'write {% if %} or a filter instead',
};
/** They run a text as an expression, and that text may be a value. */
const refusedFilters = Object.keys(filters).filter((name) => name.endsWith('_exp'));
const handlebars = /^[-\s]*([#/>^!&{]|else\b)/;

const nothingThere = async () => false;
const refuse = () => {
  throw new Error('there are no files');
};

const engines: Record<Writing, Liquid> = {
  text: createEngine('text', textOf),
  html: createEngine('html', (value) => escapeHtml(textOf(value))),
  url: createEngine('url', (value) => encodeURIComponent(textOf(value).toWellFormed())),
  value: createEngine('value'),
};

function createEngine(writing: Writing, outputEscape?: (value: unknown) => string): Liquid {
  const engine = new Liquid({
    ownPropertyOnly: true,
    strictFilters: true,
    parseLimit: 1e5,
    renderLimit: 200,
    memoryLimit: 1e6,
    timezoneOffset: 0,
    locale: 'en-US',
    keepOutputType: writing === 'value',
    outputEscape,
    relativeReference: false,
    fs: {
      exists: nothingThere,
      existsSync: () => false,
      readFile: refuse,
      readFileSync: refuse,
      resolve: refuse,
      contains: nothingThere,
      containsSync: () => false,
    },
  });
  for (const [name, reason] of Object.entries(refusedTags)) {
    engine.registerTag(name, {
      parse() {
        throw new Error(`{% ${name} %} is not available: ${reason}`);
      },
      render: () => undefined,
    });
  }
  for (const name of refusedFilters) delete engine.filters[name];
  // Filters marked as raw are written without escaping; in HTML the author may ask for that by `raw`, and by it alone.
  for (const [name, filter] of Object.entries(engine.filters)) {
    if (typeof filter !== 'function' && filter?.raw) engine.registerFilter(name, filter.handler);
  }
  if (writing === 'html') engine.registerFilter('raw', { raw: true, handler: textOf });
  return engine;
}

/** @throws ScriptError it does not parse, or uses what is not to be had here */
export function compileTemplate(source: string, writing: Writing): CompiledTemplate {
  const engine = engines[writing];
  refuseHandlebars(source, engine);
  let parts: Template[];
  try {
    parts = engine.parse(source);
  } catch (error) {
    throw readable(error, source);
  }
  return {
    parts,
    render(bindings) {
      try {
        return engine.renderSync(parts, bindings);
      } catch (error) {
        throw readable(error, source);
      }
    },
  };
}

/** True for one output and nothing else. */
export function isOneOutput({ parts }: CompiledTemplate): boolean {
  return parts.length === 1 && parts[0] instanceof Output;
}

/** The names that a template reads and does not make itself, as paths such as `['contact', 'name']`. */
export function variablesOf({ parts }: CompiledTemplate): unknown[][] {
  return engines.text.globalVariableSegmentsSync(parts) as unknown[][];
}

// Some forms of it would parse, and mean something else.
function refuseHandlebars(source: string, engine: Liquid): void {
  let tokens: ReturnType<Tokenizer['readTopLevelTokens']>;
  try {
    tokens = new Tokenizer(source, engine.options.operators).readTopLevelTokens(engine.options);
  } catch (error) {
    throw readable(error, source);
  }
  for (const token of tokens) {
    if (token.kind !== TokenKind.Output) continue;
    if (handlebars.test(source.slice(token.begin + 2, token.end))) {
      throw new ScriptError(
        'this is Handlebars: templates here are Liquid, write {% if x %}...{% else %}...{% endif %}, {% for item in items %}...{% endfor %} and {{ x }}',
        token.begin + 1,
      );
    }
  }
}

/** A value as text: arrays as their items one after the other, objects as JSON. */
export function textOf(value: unknown): string {
  if (value === null || value === undefined) return '';
  if (Array.isArray(value)) return value.map(textOf).join('');
  return typeof value === 'object' ? JSON.stringify(value) : String(value);
}

const entities: Record<string, string> = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&#34;', "'": '&#39;' };

function escapeHtml(text: string): string {
  return text.replace(/[&<>"']/g, (char) => entities[char]!);
}

interface LiquidFault {
  message: string;
  token?: { begin: number; input: string };
}

function readable(error: unknown, source: string): ScriptError {
  if (error instanceof ScriptError) return error;
  const { message, token } = error as LiquidFault;
  const position = token?.input === source ? Math.min(token.begin + 1, source.length || 1) : undefined;
  return new ScriptError(inPlainWords(String(message).replace(/, line:\d+, col:\d+$/, '')), position);
}

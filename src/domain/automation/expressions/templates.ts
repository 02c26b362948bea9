import { Liquid, type Template } from 'liquidjs';
import { mostOutput, mostSource, ScriptFailed, type TemplatePlace } from './script.ts';

const nothing = async (): Promise<never> => {
  throw new ScriptFailed('other templates cannot be loaded');
};
const refuse = (): never => {
  throw new ScriptFailed('other templates cannot be loaded');
};
/** The library would read from the disk. */
const noFiles = {
  exists: async () => false,
  existsSync: () => false,
  readFile: nothing,
  readFileSync: refuse,
  resolve: (_root: string, file: string) => file,
  contains: async () => false,
  containsSync: () => false,
};

const withoutFiles = ['include', 'render', 'layout', 'block'];

function engine(outputEscape?: 'escape' | ((value: unknown) => string)): Liquid {
  const liquid = new Liquid({
    ownPropertyOnly: true,
    strictFilters: true,
    parseLimit: 1e5,
    renderLimit: 200,
    memoryLimit: 1e6,
    fs: noFiles,
    relativeReference: false,
    ...(outputEscape !== undefined && { outputEscape }),
  });
  for (const tag of withoutFiles) delete liquid.tags[tag];
  return liquid;
}

const raw = engine();
const engines: Record<TemplatePlace, Liquid> = {
  text: raw,
  json: raw,
  header: raw,
  html: engine('escape'),
  url: engine((value) => encodeURIComponent(String(value ?? ''))),
};

const mostParsed = 500;
const parsed = new Map<string, Template[]>();

function parse(source: string, place: TemplatePlace): Template[] {
  const key = `${place} ${source}`;
  const known = parsed.get(key);
  if (known) return known;
  const handlebars = /\{\{\s*[#/^]/.exec(source);
  if (handlebars) {
    throw new ScriptFailed('blocks are written {% if ... %} and {% endif %} here', handlebars.index + 1);
  }
  let templates: Template[];
  try {
    templates = engines[place].parse(source);
  } catch (error) {
    throw failureOf(error);
  }
  if (parsed.size >= mostParsed) parsed.clear();
  parsed.set(key, templates);
  return templates;
}

/** @throws ScriptFailed it does not parse, or cannot stand at this place */
export function checkTemplate(source: unknown, place: TemplatePlace): void {
  checkSize(source);
  if (place === 'json') {
    eachText(source, (text) => parse(text, place));
    return;
  }
  const text = textOf(source);
  if (place === 'url') literalOrigin(text);
  parse(text, place);
}

/** @throws ScriptFailed */
export function renderTemplate(source: unknown, place: TemplatePlace, bindings: object): unknown {
  checkSize(source);
  const value = place === 'json' ? renderJson(source, bindings) : renderText(textOf(source), place, bindings);
  if (Buffer.byteLength(JSON.stringify(value)) > mostOutput) {
    throw new ScriptFailed(`what it gives must be at most ${mostOutput} bytes`);
  }
  return value;
}

/** The variables that templates name and do not make themselves, as they are written: `contact.firstName`. */
export function variablesOf(source: unknown, place: TemplatePlace): string[] {
  const found = new Set<string>();
  const look = (text: string) => {
    for (const name of raw.globalFullVariablesSync(parse(text, place))) found.add(name);
  };
  if (place === 'json') eachText(source, look);
  else look(textOf(source));
  return [...found].sort();
}

function checkSize(source: unknown): void {
  if (Buffer.byteLength(JSON.stringify(source) ?? '') > mostSource.template) {
    throw new ScriptFailed(`a template must be at most ${mostSource.template} bytes as JSON`);
  }
}

function textOf(source: unknown): string {
  if (typeof source === 'string') return source;
  throw new ScriptFailed('the template must be a text here');
}

function renderText(text: string, place: TemplatePlace, bindings: object): string {
  const rendered = render(text, place, bindings);
  if (place === 'header' && /[^\t\x20-\x7e\x80-\xff]/.test(rendered)) {
    throw new ScriptFailed('a header must be one line of Latin characters');
  }
  if (place === 'url') checkOrigin(text, rendered);
  return rendered;
}

function render(text: string, place: TemplatePlace, bindings: object): string {
  const templates = parse(text, place);
  try {
    return engines[place].renderSync(templates, bindings) as string;
  } catch (error) {
    throw failureOf(error);
  }
}

/** A text that is one output and nothing else is replaced by its value, with its type. */
const wholeOutput = /^\s*\{\{-?((?:(?!\}\})[\s\S])*?)-?\}\}\s*$/;

// The structure is the template's: a value never breaks out of its text.
function renderJson(source: unknown, bindings: object): unknown {
  if (typeof source === 'string') {
    const whole = wholeOutput.exec(source);
    return whole && parse(source, 'json').length <= 3 ? valueIn(whole[1]!, bindings) : render(source, 'json', bindings);
  }
  if (Array.isArray(source)) return source.map((item) => renderJson(item, bindings));
  if (typeof source !== 'object' || source === null) return source;
  return Object.fromEntries(Object.entries(source).map(([key, value]) => [key, renderJson(value, bindings)]));
}

function valueIn(expression: string, bindings: object): unknown {
  let value: unknown;
  try {
    value = raw.evalValueSync(expression, bindings);
  } catch (error) {
    throw failureOf(error);
  }
  return value === undefined || typeof value === 'function' ? null : JSON.parse(JSON.stringify(value) ?? 'null');
}

function eachText(source: unknown, look: (text: string) => void): void {
  if (typeof source === 'string') look(source);
  else if (typeof source === 'object' && source !== null)
    for (const inner of Object.values(source)) eachText(inner, look);
}

// Where a request goes must be readable in the template: values may fill in path and query only.
function literalOrigin(text: string): string {
  const literal = /^(https?:\/\/[^\s{}/?#\\@]+)(?=[/?#]|$)/i.exec(text)?.[1];
  if (literal === undefined || !URL.canParse(literal)) {
    throw new ScriptFailed('must begin with http:// or https:// and a host that is no variable, followed by /', 1);
  }
  return new URL(literal).origin;
}

function checkOrigin(text: string, rendered: string): void {
  const url = URL.canParse(rendered) ? new URL(rendered) : undefined;
  if (url?.origin !== literalOrigin(text) || url.username !== '' || url.password !== '') {
    throw new ScriptFailed('the address must keep the scheme, host and port of its template');
  }
}

function failureOf(error: unknown): ScriptFailed {
  if (error instanceof ScriptFailed) return error;
  if (error instanceof RangeError) return new ScriptFailed('it nests too deeply');
  const { message, token, originalError } = error as {
    message: string;
    token?: { begin?: number };
    originalError?: unknown;
  };
  if (originalError instanceof ScriptFailed) return originalError;
  const text = message.replace(/, (?:file:.*?)?line:\d+, col:\d+$/s, '');
  const missing = /^tag "(\w+)" not found/.exec(text);
  const isLoading = missing && withoutFiles.includes(missing[1]!);
  const position = typeof token?.begin === 'number' ? token.begin + 1 : undefined;
  return new ScriptFailed(
    isLoading ? `{% ${missing[1]} %} is not available: other templates cannot be loaded` : text.slice(0, 500),
    position,
  );
}

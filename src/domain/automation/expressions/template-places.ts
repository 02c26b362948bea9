import { jsonOf } from './json-value.ts';
import { type CompiledTemplate, compileTemplate, isOneOutput, textOf, type Writing } from './liquid-engine.ts';
import { maxDepth, maxOutputBytes, ScriptError, type TemplatePlace } from './script.ts';

/** Makes a text usable, by way of a cache where the caller has one. @throws ScriptError */
export type Compile = (source: string, writing: Writing) => CompiledTemplate;

export interface PlacedTemplate {
  render(bindings: Record<string, unknown>): unknown;
  /** Of each text in it. */
  compiled: CompiledTemplate[];
}

/**
 * Compiles a template for its place. Only `json` takes anything but a text.
 *
 * @throws ScriptError it does not parse, or the place does not allow it
 */
export function placeTemplate(
  source: unknown,
  place: TemplatePlace,
  compile: Compile = compileTemplate,
): PlacedTemplate {
  if (place === 'json') return placeJson(source, compile);
  if (typeof source !== 'string') throw new ScriptError('a template must be a text');
  const compiled = compile(source, place === 'header' ? 'text' : place);
  const origin = place === 'url' ? literalOrigin(source) : undefined;
  return {
    compiled: [compiled],
    render(bindings) {
      const text = bounded(textOf(compiled.render(bindings)));
      if (place === 'header') return checkedHeader(text);
      return origin === undefined ? text : checkedUrl(text, origin);
    },
  };
}

function bounded(text: string): string {
  if (text.length > maxOutputBytes || Buffer.byteLength(text) > maxOutputBytes) {
    throw new ScriptError(`the result is larger than ${maxOutputBytes / 1_024} KiB`);
  }
  return text;
}

function checkedHeader(text: string): string {
  const bad = /[^\t\x20-\x7e\x80-\xff]/u.exec(text);
  if (!bad) return text;
  const code = bad[0].codePointAt(0)!.toString(16).toUpperCase().padStart(4, '0');
  throw new ScriptError(`a header takes one line of Latin-1 characters, and the result holds U+${code}`);
}

/**
 * What a URL template says before its first value: scheme, host and port must be there in full, ended by `/`, `?`, `#`
 * or the end of the template.
 */
function literalOrigin(source: string): string {
  const address = /^\s*(https?:\/\/[^\s/?#\\@{}]+)(?=[/?#]|\s*$)/i.exec(source)?.[1];
  if (!address || !URL.canParse(address)) {
    throw new ScriptError(
      'a URL must begin with http:// or https:// and a host that are written out, such as https://api.example.com/users/{{ contact.id }}',
      1,
    );
  }
  return new URL(address).origin;
}

// Encoded or not, such a part would be taken as a step up by whoever reads the URL.
const dots = /^(\.|%2e){1,2}$/i;

function checkedUrl(text: string, origin: string): string {
  const url = URL.parse(text);
  if (!url) throw new ScriptError('the result is not a URL');
  if (url.origin !== origin || url.username || url.password) {
    throw new ScriptError(`the values changed where the URL leads: it must stay at ${origin}`);
  }
  const [path = ''] = text.trim().slice(origin.length).split(/[?#]/);
  if (path.split(/[/\\]/).some((part) => dots.test(part))) {
    throw new ScriptError('a part of the path is . or .., which would lead to another path');
  }
  return bounded(url.href);
}

type Render = (bindings: Record<string, unknown>) => unknown;

function placeJson(source: unknown, compile: Compile): PlacedTemplate {
  const compiled: CompiledTemplate[] = [];
  const keep = (template: CompiledTemplate) => {
    compiled.push(template);
    return template;
  };
  const renderText = (text: string, path: string): Render => {
    if (!/\{[{%]/.test(text)) return () => text;
    const value = named(path, () => compile(text.trim(), 'value'));
    const template = keep(isOneOutput(value) ? value : named(path, () => compile(text, 'text')));
    if (isOneOutput(value)) return (bindings) => named(path, () => jsonOf(template.render(bindings)));
    return (bindings) => named(path, () => bounded(textOf(template.render(bindings))));
  };
  const renderValue = (value: unknown, path: string, depth: number): Render => {
    if (typeof value === 'string') return renderText(value, path);
    if (typeof value !== 'object' || value === null) return () => value;
    if (depth >= maxDepth) throw new ScriptError(`the template is nested more than ${maxDepth} levels deep`);
    if (Array.isArray(value)) {
      const items = value.map((item, index) => renderValue(item, `${path}[${index}]`, depth + 1));
      return (bindings) => items.map((render) => render(bindings));
    }
    const fields = Object.entries(value).map(
      ([key, item]) => [key, renderValue(item, path ? `${path}.${key}` : key, depth + 1)] as const,
    );
    return (bindings) => Object.fromEntries(fields.map(([key, render]) => [key, render(bindings)]));
  };
  const render = renderValue(source, '', 0);
  return { compiled, render: (bindings) => jsonOf(render(bindings)) };
}

// Positions count within one text: which one it is, the message says.
function named<T>(path: string, work: () => T): T {
  try {
    return work();
  } catch (error) {
    if (!(error instanceof ScriptError) || path === '') throw error;
    throw new ScriptError(`${path}: ${error.message}`, error.position);
  }
}

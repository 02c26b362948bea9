import { RE2JS } from 're2js';
import { ScriptError } from './script.ts';

const compiled = new WeakMap<RegExp, RE2JS>();

/**
 * What a regular expression of the source becomes: matched in time proportional to the text, whatever the pattern.
 *
 * @throws ScriptError it needs what such an engine cannot do: back references, looking ahead or behind, repeats over 1,000
 */
export function linearRegex(source: RegExp): RE2JS {
  const known = compiled.get(source);
  if (known) return known;
  const flags =
    (source.ignoreCase ? RE2JS.CASE_INSENSITIVE : 0) |
    (source.multiline ? RE2JS.MULTILINE : 0) |
    (source.dotAll ? RE2JS.DOTALL : 0);
  try {
    const made = RE2JS.compile(RE2JS.translateRegExp(source.source), flags);
    compiled.set(source, made);
    return made;
  } catch (error) {
    const { message } = error as Error;
    throw new ScriptError(
      `the regular expression /${source.source}/ cannot be used (${message}); it must do without back references and without looking ahead or behind`,
    );
  }
}

/** The part of RegExp that JSONata uses: `new`, `lastIndex` and `exec`. */
export class LinearRegExp {
  lastIndex = 0;
  readonly #regex: RE2JS;

  constructor(source: RegExp) {
    this.#regex = linearRegex(source);
  }

  exec(text: string): ((string | undefined)[] & { index: number }) | null {
    const matcher = this.#regex.matcher(text);
    if (this.lastIndex > text.length || !matcher.find(this.lastIndex)) return null;
    const groups: (string | undefined)[] = [];
    for (let group = 0; group <= matcher.groupCount(); group++) groups.push(matcher.group(group) ?? undefined);
    this.lastIndex = matcher.end();
    return Object.assign(groups, { index: matcher.start() });
  }
}

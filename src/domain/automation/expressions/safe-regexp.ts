import { RE2JS } from 're2js';

/** What JSONata asks of a regular expression. */
type Match = string[] & { index: number };

/**
 * Stands in for RegExp inside expressions: matches in linear time, so no text makes a pattern hang. Patterns that need more
 * than that (look-around, back references) are refused.
 */
export class SafeRegExp {
  readonly source: string;
  lastIndex = 0;
  readonly #compiled: RE2JS;

  constructor({ source, flags }: RegExp) {
    this.source = source;
    const insensitive = flags.includes('i') ? RE2JS.CASE_INSENSITIVE : 0;
    const lines = flags.includes('m') ? RE2JS.MULTILINE : 0;
    this.#compiled = RE2JS.compile(source, insensitive | lines);
  }

  exec(text: string): Match | null {
    const matcher = this.#compiled.matcher(text);
    if (this.lastIndex > text.length || !matcher.find(this.lastIndex)) {
      this.lastIndex = 0;
      return null;
    }
    const groups = Array.from({ length: matcher.groupCount() + 1 }, (_, group) => matcher.group(group) as string);
    this.lastIndex = matcher.end();
    return Object.assign(groups, { index: matcher.start() });
  }
}

/** Bytes of a JSON value that a caller wants stored. */
export const largestJson = 65_536;
const deepestJson = 64;
const tooDeep = `must nest at most ${deepestJson} levels`;
// In what JSON.stringify wrote: the escape of NUL or of a lone surrogate, not preceded by an escaped backslash.
const unstorableEscape = /(?<!\\)(?:\\\\)*\\u(?:0000|d[89a-f])/;

/** False for what PostgreSQL refuses (NUL) or would change without a word (a lone surrogate becomes U+FFFD). */
export function isStorableText(text: string): boolean {
  return !text.includes('\0') && text.isWellFormed();
}

/** The same for a JSON text made by JSON.stringify. */
function isStorableJson(json: string): boolean {
  return !unstorableEscape.test(json);
}

/** What is wrong with a value that a caller wants stored as JSON, or undefined. At most 64 KiB as JSON and 64 levels. */
export function oversizedJson(value: unknown, given?: string, most = largestJson): string | undefined {
  // What nests by thousands cannot even be written out.
  if (given === undefined && isDeeperThan(value, deepestJson)) return tooDeep;
  const json = given ?? JSON.stringify(value);
  if (Buffer.byteLength(json) > most) return `must be at most ${most} bytes as JSON`;
  if (!isStorableJson(json)) return 'must not contain NUL or half a surrogate pair';
  // Few values have as many brackets as they may have levels: the others are not walked.
  const brackets = json.match(/[[{]/g)?.length ?? 0;
  if (brackets > deepestJson && isDeeperThan(value, deepestJson)) return tooDeep;
  return undefined;
}

function isDeeperThan(value: unknown, levels: number): boolean {
  if (typeof value !== 'object' || value === null) return false;
  return levels === 0 || Object.values(value).some((inner) => isDeeperThan(inner, levels - 1));
}

const longestAddress = 2_048;

/** True for an absolute http or https address of a sensible length. */
export function isWebAddress(text: string): boolean {
  return text.length <= longestAddress && URL.canParse(text) && /^https?:$/.test(new URL(text).protocol);
}

/** True for a name: 1 to so many characters without a line end or another control character, not only blanks. */
export function isOneLine(text: string, longest: number): boolean {
  return text.trim() !== '' && text.length <= longest && !/\p{Cc}/u.test(text) && isStorableText(text);
}

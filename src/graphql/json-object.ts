/** True for a JSON value that is an object: what the JSON scalar takes where a service wants keys. */
export function isJsonObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

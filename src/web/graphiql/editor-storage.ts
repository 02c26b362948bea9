import type { GraphiQLProps } from 'graphiql';

// Other projects on localhost have a GraphiQL too, and theirs may have run on this port: a prefix of our own keeps
// their tabs out.
const prefix = 'parley.';

/**
 * Where GraphiQL keeps tabs, history and layout: the browser's local storage, without any request header. Its history
 * would write down the headers of each run, and with them the token, which must not outlive the browser tab.
 */
export const editorStorage: NonNullable<GraphiQLProps['storage']> = {
  getItem: (key) => localStorage.getItem(prefix + key),
  setItem: (key, value) => localStorage.setItem(prefix + key, withoutHeaders(key, value)),
  removeItem: (key) => localStorage.removeItem(prefix + key),
  clear() {
    for (const key of ownKeys()) localStorage.removeItem(key);
  },
  get length() {
    return ownKeys().length;
  },
};

function ownKeys(): string[] {
  return Object.keys(localStorage).filter((key) => key.startsWith(prefix));
}

function withoutHeaders(key: string, value: string): string {
  if (!/:(queries|favorites|tabState)$/.test(key)) return value;
  return JSON.stringify(JSON.parse(value), (name, part: unknown) => (name === 'headers' ? null : part));
}

import type { Core } from './context.ts';
import { perCore } from './per-core.ts';

interface Entry<Value> {
  value: Promise<Value>;
  until: number;
}

export interface ShortCache<Value> {
  get(core: Core, key: string, read: () => Promise<Value>): Promise<Value>;
  /** In the order of the keys; `read` gets those that are not kept, each once. */
  getAll(core: Core, keys: readonly string[], read: (missing: string[]) => Promise<Value[]>): Promise<Value[]>;
  /** This process reads anew; the others within the cache's time. */
  forget(core: Core, key: string): void;
}

const largest = 10_000;

/**
 * Keeps answers of the database for a moment, per process and core, so that each request of a busy caller does not
 * read the same anew. Failed reads are not kept.
 */
export function cachedFor<Value>(ms: number): ShortCache<Value> {
  const cacheOf = perCore(() => new Map<string, Entry<Value>>());
  const keep = (core: Core, key: string, value: Promise<Value>) => {
    const cache = cacheOf(core);
    if (cache.size >= largest) cache.clear();
    const entry = { value, until: performance.now() + ms };
    cache.set(key, entry);
    value.catch(() => {
      if (cache.get(key) === entry) cache.delete(key);
    });
    return value;
  };
  const kept = (core: Core, key: string) => {
    const known = cacheOf(core).get(key);
    return known && known.until > performance.now() ? known.value : undefined;
  };
  return {
    get: (core, key, read) => kept(core, key) ?? keep(core, key, read()),
    getAll(core, keys, read) {
      const found = new Map(keys.map((key) => [key, kept(core, key)]));
      const missing = [...found.keys()].filter((key) => !found.get(key));
      if (missing.length > 0) {
        const values = read(missing);
        for (const [index, key] of missing.entries()) {
          const value = values.then((all) => all[index]!);
          found.set(key, keep(core, key, value));
        }
      }
      return Promise.all(keys.map((key) => found.get(key)!));
    },
    forget(core, key) {
      cacheOf(core).delete(key);
    },
  };
}

import type { Core } from './context.ts';

interface Entry<Value> {
  value: Promise<Value>;
  until: number;
}

export interface ShortCache<Value> {
  get(core: Core, key: string, read: () => Promise<Value>): Promise<Value>;
  /** This process reads anew; the others within the cache's time. */
  forget(core: Core, key: string): void;
}

const largest = 10_000;

/**
 * Keeps answers of the database for a moment, per process and core, so that each request of a busy caller does not
 * read its standing anew. Failed reads are not kept.
 */
export function cachedFor<Value>(ms: number): ShortCache<Value> {
  const caches = new WeakMap<Core, Map<string, Entry<Value>>>();
  const cacheOf = (core: Core) => {
    const known = caches.get(core);
    if (known) return known;
    const made = new Map<string, Entry<Value>>();
    caches.set(core, made);
    return made;
  };
  return {
    get(core, key, read) {
      const cache = cacheOf(core);
      const now = performance.now();
      const known = cache.get(key);
      if (known && known.until > now) return known.value;
      if (cache.size >= largest) cache.clear();
      const value = read();
      cache.set(key, { value, until: now + ms });
      value.catch(() => cache.delete(key));
      return value;
    },
    forget(core, key) {
      cacheOf(core).delete(key);
    },
  };
}

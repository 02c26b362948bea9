import type { Documents } from './documents.ts';

/** Apollo asks with a prefix before the hash. Nothing is set from here: `http` prepared the document before. */
export function storeOf(documents: Documents) {
  return {
    get: async (key: string) => documents.find(key.slice(-64))?.document,
    set: async () => {},
    delete: async () => true,
  };
}

/** Persisted queries live in the same bounded store: a document that was used of late is known by its hash. */
export function persistedOf(documents: Documents) {
  return {
    get: async (key: string) => documents.find(key.slice(-64))?.source,
    set: async () => {},
    delete: async () => true,
  };
}

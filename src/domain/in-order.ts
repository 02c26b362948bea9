/** What was found, in the order of the ids that were asked for; null for what is not there. What loaders want. */
export function inOrderOf<Item extends { id: string }>(ids: readonly string[], found: Item[]): (Item | null)[] {
  const byId = new Map(found.map((item) => [item.id, item]));
  return ids.map((id) => byId.get(id) ?? null);
}

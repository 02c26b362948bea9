/** Asks until it answers something truthy; fails after `timeoutMs`. For what has no event of its own to wait for. */
export async function until<T>(ask: () => Promise<T | undefined | null | false>, timeoutMs = 10_000): Promise<T> {
  const end = performance.now() + timeoutMs;
  for (;;) {
    const answer = await ask();
    if (answer) return answer;
    if (performance.now() > end) throw new Error('it did not come about in time');
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}

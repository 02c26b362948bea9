import type { App } from './app.ts';

export const largeText = 'x'.repeat(60_000);
/** Messages of 60 kB: nearly the largest page there is. */
export const largePage = 98;

/** Adds them to a conversation, a megabyte a batch. */
export async function addLargePage(
  app: App,
  { source, place }: Awaited<ReturnType<App['make']['conversation']>>,
): Promise<void> {
  const perBatch = 14;
  for (let added = 0; added < largePage; added += perBatch) {
    const messages = Array.from({ length: perBatch }, () =>
      app.make.webhookMessage({ ...place, content: { text: largeText } }),
    );
    await app.make.webhook(source, { messages });
  }
}

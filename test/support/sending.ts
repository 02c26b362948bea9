import type { App, Json } from './app.ts';
import { until } from './until.ts';

const messageFields = `id legacyId deliveryState sourceMessageId metadata sentAt sequence raw
  failure { code message retryable nextAttemptAt }`;

/** Sends a text by `sendMessage`; the message as the answer shows it. */
export async function send(
  app: App,
  conversation: { id: string },
  text = 'Hello there',
  { token, ...more }: { token?: string; content?: unknown; idempotencyKey?: string } = {},
): Promise<Json> {
  const { sendMessage } = await app.data(
    `mutation ($input: SendMessageInput!) { sendMessage(input: $input) { message { ${messageFields} } } }`,
    { input: { conversationId: conversation.id, ...(more.content === undefined && { text }), ...more } },
    token ?? (await app.make.admin()).token,
  );
  return sendMessage.message;
}

/** One message to each, 20 calls at once: more would wait for the few connections of a test's database. */
export async function sendToEach(app: App, conversations: { id: string }[]): Promise<Json[]> {
  const sent: Json[] = [];
  for (let at = 0; at < conversations.length; at += 20) {
    sent.push(...(await Promise.all(conversations.slice(at, at + 20).map((conversation) => send(app, conversation)))));
  }
  return sent;
}

/** The message as it is now. */
export async function messageNow(app: App, { id }: { id: string }): Promise<Json> {
  const { node } = await app.data(
    `query ($id: ID!) { node(id: $id) { ... on Message { ${messageFields} } } }`,
    { id },
    (await app.make.admin()).token,
  );
  return node;
}

/** The message once it is delivered or has failed for good. */
export async function settled(app: App, message: { id: string }): Promise<Json> {
  return until(async () => {
    const now = await messageNow(app, message);
    return now.deliveryState === 'PENDING' ? undefined : now;
  });
}

import { createHmac } from 'node:crypto';
import { Pool as HttpPool } from 'undici';
import { uuidv7 } from 'uuidv7';
import type { YardstickConfig } from '../contestants.ts';
import { deliveredSql, sendSql } from '../statements.ts';
import type { Pool, Row, Statement } from './pool.ts';
import { isoOf } from './reads.ts';

const taken: Statement = { name: 'send', text: sendSql };
const delivered: Statement = { name: 'delivered', text: deliveredSql };

/** `POST /messages.send`: stored, answered, then the signed call to the action endpoint and its result. */
export function createSend(pool: Pool, config: YardstickConfig): (body: string) => Promise<string> {
  const { userId, sourceId, sourceToken } = config.credentials;
  const url = new URL(config.actionUrl);
  const http = new HttpPool(url.origin, { connections: 64, pipelining: 1 });

  async function deliver(id: string, conversationId: string, content: unknown, sentAt: string, row: Row) {
    const [, channelId, sourceChannelId, sourceConversationId, createdAt] = row;
    const message = { id, source_recipient_id: sourceConversationId, content, sent_at: sentAt };
    const conversation = {
      id: conversationId,
      channel_id: channelId,
      source_channel_id: sourceChannelId,
      source_conversation_id: sourceConversationId,
      created_at: isoOf(createdAt!),
    };
    const body = JSON.stringify({ type: 'message.send', payload: { message, conversation } });
    const headers = {
      'content-type': 'application/json',
      'x-airy-content-signature': createHmac('sha256', sourceToken).update(body).digest('hex'),
    };
    const startedAt = performance.now();
    const answer = await http.request({ method: 'POST', path: url.pathname, headers, body });
    const text = await answer.body.text();
    const theirs = (JSON.parse(text) as { source_message_id: string }).source_message_id;
    const ms = Math.round(performance.now() - startedAt);
    await pool.run(delivered, () => [id, theirs, uuidv7(), url.href, ms, body, JSON.stringify({ body: text })]);
  }

  return async (body) => {
    const { conversation_id, message } = JSON.parse(body) as { conversation_id: string; message: { text: string } };
    const id = uuidv7();
    const sentAt = new Date().toISOString();
    const [row] = await pool.run(taken, () => [conversation_id, id, userId, JSON.stringify(message), sentAt]);
    if (!row) throw new Error(`there is no conversation ${conversation_id}`);
    deliver(id, conversation_id, message, sentAt, row).catch((error) => console.error(error));
    return JSON.stringify({
      id,
      content: { ...message, type: 'text' },
      state: 'pending',
      delivery_state: 'pending',
      sender_type: 'app_user',
      from_contact: false,
      sender: { id: userId, name: config.userName, avatar_url: null },
      sent_at: sentAt,
      source: sourceId,
      metadata: {},
    });
  };
}

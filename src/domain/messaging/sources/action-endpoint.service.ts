import { createHmac } from 'node:crypto';
import type { Core } from '../../context.ts';
import { DomainError } from '../../errors.ts';
import { type OutboundAnswer, OutboundFault } from '../../outbound-http.ts';
import { isStorableText, oversizedJson } from '../../text.ts';
import { type Metadata, mergeMetadata, reservedKeyForSource } from '../metadata/metadata.service.ts';

/** What an action call tells the source. */
export interface MessageSendAction {
  messageId: string;
  sourceRecipientId: string;
  content: unknown;
  sentAt: Date;
  /** It begins the conversation, which the source does not know yet. */
  isFirst: boolean;
  conversation: {
    id: string;
    channelId: string;
    sourceChannelId: string;
    sourceConversationId: string;
    createdAt: Date;
  };
}

/** What one call came to. */
export type Delivery =
  | { state: 'DELIVERED'; sourceMessageId: string; metadata: Metadata }
  | { state: 'FAILED'; code: string; reason: string }
  | { state: 'RETRY'; code: string; reason: string; afterMs?: number };

export interface Exchange {
  delivery: Delivery;
  /** The body as sent, to be kept with the attempt; signatures are not kept. */
  request: unknown;
  statusCode: number | null;
  response: unknown;
  durationMs: number;
}

const timeoutMs = 15_000;
const largestAnswer = 256 * 1024;
const longestReasonBytes = 1_024;
const longestSourceMessageId = 512;
const longestRetryAfterMs = 3_600_000;
const keptAnswer = 2_048;

/**
 * One `message.send` call: signed with the source's token (`X-Airy-Content-Signature`, lower-case hex) and, beside it,
 * with the Standard Webhooks headers; `webhook-id` stays the same over retries. Never throws for what the endpoint does.
 *
 * @see contracts, "Action endpoint"
 */
export async function callActionEndpoint(
  core: Core,
  url: string,
  keys: { token: string; secrets: string[] },
  action: MessageSendAction,
): Promise<Exchange> {
  const request = actionBody(action);
  // Sign the bytes we send, not the object: serialising again may reorder keys and break the signature.
  const body = JSON.stringify(request);
  const signed = signatures(keys, `msg_${action.messageId}`, Math.floor(core.now().getTime() / 1000), body);
  const headers = { 'content-type': 'application/json', 'user-agent': 'Parley', ...signed };
  const secrets = [
    keys.token,
    ...keys.secrets,
    signed['x-airy-content-signature'],
    ...signed['webhook-signature'].split(' '),
  ];
  const startedAt = performance.now();
  try {
    const answer = await core.outbound.call({
      url,
      method: 'POST',
      headers,
      body,
      timeoutMs,
      maxAnswerBytes: largestAnswer,
      // By its webhook-id.
      isRepeatable: true,
    });
    const text = masked(answer.body.toString('utf8').toWellFormed().replaceAll('\0', '\uFFFD'), secrets);
    return {
      delivery: judge(answer, text, core.now()),
      request,
      statusCode: answer.status,
      response: { body: text.slice(0, keptAnswer).toWellFormed() },
      durationMs: Math.round(answer.durationMs),
    };
  } catch (error) {
    if (!(error instanceof OutboundFault)) throw error;
    const failsAtOnce =
      error.kind === 'blocked' || error.kind === 'invalid' || error.kind === 'too-large' || error.kind === 'decode';
    return {
      delivery: { state: failsAtOnce ? 'FAILED' : 'RETRY', code: error.kind, reason: shortened(error.message) },
      request,
      statusCode: null,
      response: null,
      durationMs: Math.round(performance.now() - startedAt),
    };
  }
}

function actionBody(action: MessageSendAction) {
  return {
    type: 'message.send',
    payload: {
      message: {
        id: action.messageId,
        source_recipient_id: action.sourceRecipientId,
        content: action.content,
        sent_at: action.sentAt.toISOString(),
      },
      ...(!action.isFirst && {
        conversation: {
          id: action.conversation.id,
          channel_id: action.conversation.channelId,
          source_channel_id: action.conversation.sourceChannelId,
          source_conversation_id: action.conversation.sourceConversationId,
          created_at: action.conversation.createdAt.toISOString(),
        },
      }),
    },
  };
}

type SignatureHeaders = Record<
  'x-airy-content-signature' | 'webhook-id' | 'webhook-timestamp' | 'webhook-signature',
  string
>;

/** The signature headers over the exact body; `secrets` has two while a secret is rotated. */
export function signatures(
  keys: { token: string; secrets: string[] },
  id: string,
  timestamp: number,
  body: string,
): SignatureHeaders {
  const standard = keys.secrets.map((secret) => {
    const key = Buffer.from(secret.replace(/^whsec_/, ''), 'base64');
    return `v1,${createHmac('sha256', key).update(`${id}.${timestamp}.${body}`).digest('base64')}`;
  });
  return {
    'x-airy-content-signature': createHmac('sha256', keys.token).update(body).digest('hex'),
    'webhook-id': id,
    'webhook-timestamp': String(timestamp),
    'webhook-signature': standard.join(' '),
  };
}

// An endpoint that tells back what it got must not put our secrets where attempts and failures are shown.
function masked(text: string, secrets: string[]): string {
  return secrets.reduce((shown, secret) => shown.replaceAll(secret, '***'), text);
}

const retriedStatuses = new Set([408, 425, 429]);

function judge(answer: OutboundAnswer, text: string, now: Date): Delivery {
  const { status } = answer;
  if (status === 200) return judgeSuccess(text);
  if (status >= 500 || retriedStatuses.has(status)) {
    return {
      state: 'RETRY',
      code: `http_${status}`,
      reason: reasonOf(text, status),
      afterMs: retryAfterMs(answer.headers['retry-after'], now),
    };
  }
  if (status >= 400) return { state: 'FAILED', code: `http_${status}`, reason: reasonOf(text, status) };
  const what = status >= 300 ? 'a redirect, which is never followed' : 'not 200';
  return { state: 'FAILED', code: `http_${status}`, reason: `the action endpoint answered ${status}: ${what}` };
}

function judgeSuccess(text: string): Delivery {
  const answer = jsonObject(text);
  const id = answer?.source_message_id;
  const isId = typeof id === 'string' && id.length >= 1 && id.length <= longestSourceMessageId && isStorableText(id);
  if (!answer || !isId) {
    return {
      state: 'FAILED',
      code: 'bad_answer',
      reason: `the action endpoint answered 200 without a JSON object whose source_message_id is a text of 1 to ${longestSourceMessageId} characters`,
    };
  }
  return { state: 'DELIVERED', sourceMessageId: id, metadata: takenMetadata(answer.metadata) };
}

// The endpoint has the message: what cannot be stored of its metadata must not send it a second time.
function takenMetadata(given: unknown): Metadata {
  if (typeof given !== 'object' || given === null || Array.isArray(given)) return {};
  const open = Object.fromEntries(Object.entries(given).filter(([key]) => !reservedKeyForSource({ [key]: true })));
  try {
    // Dotted keys nest: what fits as given may not fit as stored.
    const merged = oversizedJson(open) ? {} : mergeMetadata({}, open);
    return oversizedJson(merged) ? {} : merged;
  } catch (error) {
    if (!(error instanceof DomainError)) throw error;
    return {};
  }
}

function reasonOf(text: string, status: number): string {
  const error = jsonObject(text)?.error;
  return typeof error === 'string' && error !== '' ? shortened(error) : `the action endpoint answered ${status}`;
}

function jsonObject(text: string): Record<string, unknown> | undefined {
  try {
    const parsed: unknown = JSON.parse(text);
    return typeof parsed === 'object' && parsed !== null && !Array.isArray(parsed)
      ? (parsed as Record<string, unknown>)
      : undefined;
  } catch {
    return undefined;
  }
}

/** Seconds or a date, honoured up to an hour; undefined where the header says nothing usable. */
function retryAfterMs(header: string | undefined, now: Date): number | undefined {
  if (header === undefined) return undefined;
  const ms = /^\d+$/.test(header.trim()) ? Number(header) * 1000 : Date.parse(header) - now.getTime();
  return Number.isFinite(ms) && ms > 0 ? Math.min(ms, longestRetryAfterMs) : undefined;
}

// Of what others wrote: NUL and half surrogate pairs cannot be stored.
function shortened(text: string): string {
  const bytes = Buffer.from(text.replaceAll('\0', '\uFFFD'));
  // A stream leaves out the character that the cut went through.
  return new TextDecoder().decode(bytes.subarray(0, longestReasonBytes), { stream: true });
}

import { z } from 'zod';
import { CliFailure, sentenceOf } from './failure.ts';
import { type Answer, type GatewayClient, refusalOf } from './gateway-client.ts';
import type { Line } from './line-reader.ts';
import type { Prepared } from './line-sender.ts';
import type { SourceAccess } from './source-access.ts';

// What keeping the order and making channels need. Whatever is wrong in a body is for the gateway to say.
const name = z.string().optional().catch(undefined);
const batchShape = z.object({
  messages: z
    .array(z.object({ source_message_id: name, source_conversation_id: name, source_channel_id: name }))
    .catch([]),
  metadata: z.array(z.object({ namespace: name, source_id: name })).catch([]),
});
const statusList = z.array(z.object({ source_message_id: z.string(), status: z.string() }));
const webhookAnswer = z.union([statusList, z.record(z.string(), z.unknown())]);

/** What the gateway made of the lines so far. */
export interface Tally {
  lines: number;
  messagesCreated: number;
  duplicates: number;
  conversations: Set<string>;
}

export interface BatchSending {
  client: GatewayClient;
  access: SourceAccess;
  /** Repeats what may be repeated. */
  attempt: (call: () => Promise<Answer>) => Promise<Answer>;
  /** Name of a channel that is made on the way. */
  channelName?: (sourceChannelId: string) => string;
}

/** Sends bodies of sources.webhook as one source and makes the channels that they name. */
export class BatchSender {
  readonly tally: Tally = { lines: 0, messagesCreated: 0, duplicates: 0, conversations: new Set() };
  readonly #sending: BatchSending;
  readonly #channels = new Map<string, Promise<void>>();

  constructor(sending: BatchSending) {
    this.#sending = sending;
    for (const id of sending.access.channelIds) this.#channels.set(id, Promise.resolve());
  }

  /**
   * Reads one line and says what its order depends on. The text is sent as it stands.
   *
   * @returns undefined for a blank line
   * @throws CliFailure with the line's number
   */
  prepare({ number, text }: Line): Prepared | undefined {
    if (text.trim() === '') return undefined;
    const parsed = batchShape.safeParse(jsonOf(number, text));
    if (!parsed.success) {
      throw new CliFailure(
        `Line ${number} is no body of sources.webhook: it must be {"messages": [...], "metadata": [...]}`,
      );
    }
    const { messages, metadata } = parsed.data;
    const conversations = new Set(messages.flatMap((message) => message.source_conversation_id ?? []));
    const channels = new Set(messages.flatMap((message) => message.source_channel_id ?? []));
    const keys = new Set([...conversations].map((id) => `conversation ${id}`));
    for (const message of messages) keys.add(`message ${message.source_message_id}`);
    for (const item of metadata) keys.add(`${item.namespace} ${item.source_id}`);
    return {
      keys: [...keys],
      send: async () => {
        await Promise.all([...channels].map((id) => this.#ensureChannel(id)));
        await this.#send(number, text, messages.length);
        for (const id of conversations) this.tally.conversations.add(id);
      },
    };
  }

  async #send(number: number, text: string, messageCount: number): Promise<void> {
    const { client, access, attempt } = this.#sending;
    const answer = await attempt(() => client.call('sources.webhook', text, access.token));
    if (answer.status >= 300) throw new CliFailure(`Line ${number}: ${refusalOf(answer)}`);
    const duplicates = duplicatesIn(answer.body);
    this.tally.lines += 1;
    this.tally.duplicates += duplicates;
    this.tally.messagesCreated += messageCount - duplicates;
  }

  #ensureChannel(sourceChannelId: string): Promise<void> {
    let made = this.#channels.get(sourceChannelId);
    if (!made) {
      made = this.#createChannel(sourceChannelId);
      this.#channels.set(sourceChannelId, made);
    }
    return made;
  }

  async #createChannel(sourceChannelId: string): Promise<void> {
    const { client, access, attempt, channelName = (id) => id } = this.#sending;
    const channel = { source_channel_id: sourceChannelId, name: channelName(sourceChannelId) };
    const answer = await attempt(() => client.call('sources.channels.create', channel, access.token));
    if (answer.status >= 300) {
      throw new CliFailure(`The channel "${sourceChannelId}" could not be made: ${refusalOf(answer)}`);
    }
  }
}

/** Counts the items that the gateway had before. Old gateways answer without a list: then none are known. */
function duplicatesIn(body: unknown): number {
  const parsed = webhookAnswer.safeParse(body);
  if (!parsed.success) return 0;
  const lists = Array.isArray(parsed.data) ? [parsed.data] : Object.values(parsed.data);
  return lists
    .flatMap((list) => statusList.safeParse(list).data ?? [])
    .filter((item) => item.status.toLowerCase() === 'duplicate').length;
}

function jsonOf(number: number, text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    throw new CliFailure(`Line ${number} is not JSON: ${sentenceOf(error)}`);
  }
}

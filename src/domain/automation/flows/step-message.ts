import { z } from 'zod';
import { DomainError } from '../../errors.ts';
import { isUuid } from '../../ids.ts';
import {
  type ContactPlace,
  openConversation,
  placeOfContact,
} from '../../messaging/conversations/conversation.open.service.ts';
import { sendBotMessage } from '../../messaging/messages/message.send.service.ts';
import type { Script } from '../expressions/expression.service.ts';
import { type Effect, expressionField, type StepEnv, StepFailed, type StepKind, scriptValue } from './steps.service.ts';

const fields = z.strictObject({
  to: z
    .union([
      z.strictObject({ conversation: z.literal(true).describe('The conversation that the journey is bound to.') }),
      z.strictObject({
        contact: expressionField.describe('An expression that gives the id of a contact.'),
        channel: z.string().refine(isUuid, 'must be the UUID of a channel, in lower case').describe('Its UUID.'),
      }),
    ])
    .describe('Who gets it. With contact and channel the journey is bound to their conversation from then on.'),
  content: z
    .union([z.string().min(1).max(65_536), z.record(z.string(), z.unknown())])
    .describe('A template of a text, or the content as the source wants it, whose texts are templates.'),
});

type Fields = z.infer<typeof fields>;

function contentScript({ content }: Fields): Script {
  return { kind: 'template', source: content, place: typeof content === 'string' ? 'text' : 'json' };
}

/** Sends an ordinary outbound message; the next step does not wait for its delivery. */
export const messageStep: StepKind<Fields> = {
  type: 'message',
  description: 'Sends a message; the next step does not wait for its delivery.',
  fields,
  hasNext: true,
  scripts: (step) => [
    { path: ['content'], script: contentScript(step) },
    ...('contact' in step.to
      ? [{ path: ['to', 'contact'], script: { kind: 'expression', source: step.to.contact } satisfies Script }]
      : []),
  ],
  targets: () => [],
  async run(step, env) {
    const { to } = step;
    const asked: Script[] = 'contact' in to ? [{ kind: 'expression', source: to.contact }] : [];
    const [rendered, contact] = await env.run([contentScript(step), ...asked]);
    const content = contentOf(scriptValue(rendered, 'content'));
    const effect =
      'contact' in to
        ? await toContact(env, {
            contactId: contactIdOf(scriptValue(contact, 'to.contact')),
            channelId: to.channel,
            content,
          })
        : toConversation(env, content);
    return { go: 'next', effect };
  },
};

function contentOf(rendered: unknown): unknown {
  if (rendered === '') throw new StepFailed('content: came out empty');
  return typeof rendered === 'string' ? { text: rendered } : rendered;
}

function contactIdOf(value: unknown): string {
  const id = typeof value === 'object' && value !== null ? (value as { id?: unknown }).id : value;
  if (typeof id === 'string' && isUuid(id)) return id;
  throw new StepFailed(`to.contact: must give the UUID of a contact, got ${JSON.stringify(value)?.slice(0, 200)}`);
}

function toConversation({ journey }: StepEnv, content: unknown): Effect {
  const { conversationId } = journey;
  if (conversationId === null) throw new StepFailed('to: no conversation is bound to the journey');
  return {
    conversationIds: [conversationId],
    sources: [],
    async apply(tx) {
      await asStep(() => sendBotMessage(tx, { conversationId, content, senderId: journey.flowId }));
    },
  };
}

async function toContact(
  { journey, ctx }: StepEnv,
  { contactId, channelId, content }: { contactId: string; channelId: string; content: unknown },
): Promise<Effect> {
  const place: ContactPlace = await asStep(() => placeOfContact(ctx, { contactId, channelId }));
  return {
    conversationIds: [place.conversationId],
    sources: [place.source],
    binds: { conversationId: place.conversationId, contactId },
    async apply(tx) {
      await asStep(async () => {
        await openConversation(tx, place);
        await sendBotMessage(tx, { conversationId: place.conversationId, content, senderId: journey.flowId });
      });
    },
  };
}

// What the core refuses is the step's fault; that the database is away is not.
async function asStep<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if (error instanceof DomainError && error.code !== 'UNAVAILABLE') throw new StepFailed(error.message);
    throw error;
  }
}

import { type RawBuilder, sql } from 'kysely';
import { allow, linkOf } from '../../access.ts';
import { signToken, verifyToken } from '../../accounts/users/token.service.ts';
import type { TokenVerifier } from '../../authentication.ts';
import type { Core, Ctx } from '../../context.ts';
import { DomainError, Unauthenticated } from '../../errors.ts';
import { currentEventCursor } from '../../events.ts';
import { isUuid } from '../../ids.ts';
import { type LoadedMessage, listMessages } from '../../messaging/messages/message.service.ts';
import type { Page, PageRequest } from '../../paging.ts';
import { sha256Hex } from '../../secrets.ts';
import { readRows, runStatement } from '../../statement.ts';

const longestLifeSeconds = 86_400;
/** How long the link shows the conversation once the journey has ended, by the database's clock. */
const afterEnd = sql`interval '30 days'`;
/** 128 bits as base64url. */
const linkForm = /^[\w-]{22}$/;

const holds = sql`j.conversation_id is not null and (j.ended_at is null or j.ended_at > now() - ${afterEnd})`;

/** What the link of a journey opens. */
export interface OpenedLink {
  /** Of the audience `journey`. */
  token: string;
  expiresAt: Date;
}

/**
 * Opens the link of a journey: gives a token for its one conversation. It lives a day, and never longer than the link, which
 * ends 30 days after the journey.
 *
 * @throws DomainError NOT_FOUND for a link that is unknown, over or without a conversation, without telling which
 */
export async function openJourneyLink(ctx: Ctx, { linkToken }: { linkToken: string }): Promise<OpenedLink> {
  allow(ctx, 'openJourneyLink');
  const [journey] = linkForm.test(linkToken)
    ? await readRows<{ id: string; seconds_left: number }>(
        ctx,
        sql`select j.id::text,
              extract(epoch from coalesce(j.ended_at, now()) + ${afterEnd} - now())::float8 seconds_left
            from journey j where j.link_hash = ${sha256Hex(linkToken)} and ${holds}`,
      )
    : [];
  const livesForSeconds = Math.floor(Math.min(longestLifeSeconds, journey?.seconds_left ?? 0));
  // Not the error that names an id: this one opens a conversation.
  if (!journey || livesForSeconds < 1) throw new DomainError('NOT_FOUND', 'this link is not known, or it is over');
  const token = signToken(ctx.core, 'journey', { subject: journey.id, livesForSeconds });
  return { token, expiresAt: expiryOf(verifyToken(ctx.core, 'journey', token)) };
}

/** The verifier of `aud: journey`: the journey has a conversation and its link is not over, as of now. */
export const verifyJourneyToken: TokenVerifier = async (core, token) => {
  const claims = verifyToken(core, 'journey', token);
  const conversationId = isUuid(claims.sub) ? await linkedConversationId(core, claims.sub) : undefined;
  if (conversationId === undefined) throw new Unauthenticated();
  return { kind: 'journey', journeyId: claims.sub, conversationId, expiresAt: expiryOf(claims) };
};

function expiryOf({ exp }: { exp?: number }): Date {
  return new Date(exp! * 1000);
}

async function linkedConversationId(core: Core, journeyId: string): Promise<string | undefined> {
  const [row] = await runStatement<{ conversation_id: string }>(
    core,
    sql`select j.conversation_id::text from journey j where ${isHeld(journeyId)}`,
  );
  return row?.conversation_id;
}

function isHeld(journeyId: string): RawBuilder<unknown> {
  return sql`j.id = ${journeyId}::uuid and ${holds}`;
}

/** Whether a caller's link still shows the conversation that it was opened for: asked before each event is told. */
export async function isLinkHeld(ctx: Ctx): Promise<boolean> {
  const { journeyId, conversationId } = linkOf(ctx);
  return (await linkedConversationId(ctx.core, journeyId)) === conversationId;
}

/** What the contact of a conversation may know of it. */
export interface LinkedConversation {
  channelName: string;
  contactName: string | null;
  /** The journey goes on. */
  isOpen: boolean;
  /** The position of the event stream before anything else of this was read. */
  cursor: string;
}

/** The one conversation of the caller's link. @throws Unauthenticated the link is over */
export async function getLinkedConversation(ctx: Ctx): Promise<LinkedConversation> {
  allow(ctx, 'linkedConversation');
  const { journeyId, conversationId } = linkOf(ctx);
  // First: a message that comes now is then told by the stream, if it is not among those read afterwards.
  const cursor = await currentEventCursor(ctx);
  const [row] = await readRows<{ channel_name: string; contact_name: string | null; is_open: boolean }>(
    ctx,
    sql`select h.name channel_name, p.display_name contact_name, j.status = 'ACTIVE' is_open
        from journey j join conversation c on c.id = j.conversation_id join channel h on h.id = c.channel_id
          left join contact p on p.id = c.contact_id
        where ${isHeld(journeyId)} and c.id = ${conversationId}::uuid`,
  );
  if (!row) throw new Unauthenticated();
  return { channelName: row.channel_name, contactName: row.contact_name, isOpen: row.is_open, cursor };
}

/** A page of its messages, oldest to latest. @throws InvalidInput sizes, combinations, cursors */
export async function listLinkedMessages(ctx: Ctx, request: PageRequest): Promise<Page<LoadedMessage>> {
  allow(ctx, 'linkedConversation');
  const [page] = await listMessages(ctx, [linkOf(ctx).conversationId], request);
  return page!;
}

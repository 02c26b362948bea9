import { randomBytes } from 'node:crypto';
import { sql } from 'kysely';
import { allow, userIdOf } from '../../access.ts';
import { inBackground, needBackground } from '../../background.ts';
import type { Ctx, Role } from '../../context.ts';
import { Forbidden, InvalidInput } from '../../errors.ts';
import { newId } from '../../ids.ts';
import { sha256Hex } from '../../secrets.ts';
import { rows } from '../../statement.ts';
import { transaction } from '../../transaction.ts';
import { hashPassword, withPasswordTurn } from './password.ts';
import { UserAccount } from './user.entity.ts';
import {
  checkEmail,
  checkNewUser,
  EmailInUse,
  insertUser,
  isFirst,
  type Session,
  startSession,
} from './user.service.ts';

const daysToAccept = 7;

/**
 * Mails an invitation whose id opens an account once, within 7 days. A newer one for the same address voids the older.
 *
 * @param role default: AGENT @returns the id that the mail carries
 * @throws EmailInUse @throws Forbidden `SIGNUP_MODE` is closed
 */
export async function inviteUser(ctx: Ctx, input: { email: string; role?: Role | null }): Promise<string> {
  allow(ctx, 'inviteUser');
  checkOpen(ctx);
  const key = checkEmail(input.email);
  const email = input.email.trim();
  if ((await ctx.em.count(UserAccount, { emailKey: key })) > 0) throw new EmailInUse();
  needBackground(ctx);
  const id = randomBytes(32).toString('base64url');
  await rows(
    ctx.em,
    sql`insert into invitation (id_hash, email, email_key, role, invited_by, expires_at) values (
          ${sha256Hex(id)}, ${email}, ${key}, ${input.role ?? 'AGENT'}, ${userIdOf(ctx)}::uuid,
          now() + make_interval(days => ${daysToAccept}::int))
        on conflict (email_key) do update set id_hash = excluded.id_hash, email = excluded.email, role = excluded.role,
          invited_by = excluded.invited_by, expires_at = excluded.expires_at, created_at = now()`,
  );
  inBackground(ctx, mail(ctx, email, id), 'the mail of an invitation could not be sent');
  return id;
}

function mail(ctx: Ctx, to: string, id: string): Promise<void> {
  return ctx.core.mailer.send({
    to,
    subject: 'You are invited',
    text: [
      'Hello,',
      '',
      `you are invited to an inbox. The id below opens your account once, within ${daysToAccept} days:`,
      '',
      id,
      '',
      'Give it as "id", with your "first_name", "last_name" and "password", to POST',
      `${ctx.core.settings.publicUrl ?? ''}/users.accept-invitation or to the GraphQL mutation acceptInvitation.`,
      'If you do not know why, nothing has to be done.',
    ].join('\n'),
  });
}

// As long as whoever invited may invite.
const isValid = sql`expires_at > now() and exists (
  select 1 from user_account u where u.id = invited_by and u.active and u.role = 'ADMIN')`;

export interface Acceptance {
  invitationId: string;
  firstName: string;
  lastName: string;
  password: string;
}

/**
 * Makes the account of an invitation, with its e-mail address, and signs it in. Once: of parallel tries one wins; and only
 * as long as whoever invited is an active administrator.
 *
 * @throws InvalidInput the id is unknown, used or expired; names or password @throws EmailInUse
 */
export async function acceptInvitation(ctx: Ctx, { invitationId, ...given }: Acceptance): Promise<Session> {
  allow(ctx, 'acceptInvitation');
  checkOpen(ctx);
  const idHash = sha256Hex(invitationId);
  const [invited] = await rows<{ email: string; valid: boolean }>(
    ctx.em,
    sql`select email, ${isValid} valid from invitation where id_hash = ${idHash}`,
  );
  if (!invited?.valid) throw spent();
  const input = { ...given, email: invited.email };
  const emailKey = checkNewUser(ctx.core, input);
  const passwordHash = await withPasswordTurn('newPassword', () => hashPassword(input.password));
  const user = await transaction(ctx, async (tx) => {
    const [used] = await rows<{ role: Role; valid: boolean }>(
      tx.em,
      sql`delete from invitation where id_hash = ${idHash} returning role, ${isValid} valid`,
    );
    if (!used?.valid) throw spent();
    const id = newId();
    const role = (await isFirst(tx, id)) ? 'ADMIN' : used.role;
    return insertUser(tx, { ...input, id, role, emailKey, passwordHash });
  });
  return startSession(ctx, user);
}

function checkOpen(ctx: Ctx): void {
  if (ctx.core.settings.signupMode === 'closed') throw new Forbidden('signing up is closed, by invitation too');
}

function spent(): InvalidInput {
  return new InvalidInput('id', `must be the id of an unused invitation of the last ${daysToAccept} days`);
}

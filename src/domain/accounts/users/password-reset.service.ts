import { randomBytes } from 'node:crypto';
import { sql } from 'kysely';
import { allow } from '../../access.ts';
import { inBackground, needBackground } from '../../background.ts';
import { type Ctx, withEm } from '../../context.ts';
import { InvalidInput } from '../../errors.ts';
import { sha256Hex } from '../../secrets.ts';
import { rows } from '../../statement.ts';
import { transaction } from '../../transaction.ts';
import { checkNewPassword, hashPassword, withPasswordTurn } from './password.ts';
import { countAttempt, startWait } from './throttle.ts';
import { signToken, verifyToken } from './token.service.ts';
import { UserAccount } from './user.entity.ts';
import { emailKey, forgetStanding, revokeTokens } from './user.service.ts';

const resetSeconds = 3_600;
const mailsPerAccount = 5;
const mailsPerAddress = 50;

/**
 * Mails a single-use link to the owner of the address. Says nothing of whether there is one: same answer, same time,
 * since the work for a real account goes on after the answer.
 */
export async function requestPasswordReset(ctx: Ctx, input: { email: string }): Promise<void> {
  allow(ctx, 'requestPasswordReset');
  const key = emailKey(input.email);
  if (key === null) return;
  needBackground(ctx);
  inBackground(ctx, mailResetToken(ctx, key), 'the mail of a password reset could not be sent');
}

async function mailResetToken(ctx: Ctx, key: string): Promise<void> {
  const own = withEm(ctx, ctx.em.fork());
  // Nobody fills a mailbox, or voids the owner's tokens over and over.
  const throttles = [
    { who: `reset ${key}`, limit: mailsPerAccount },
    { who: `reset address ${ctx.address}`, limit: mailsPerAddress },
  ];
  if ((await countAttempt(own, throttles)) > 0) return;
  await startWait(own, throttles);
  const user = await own.em.findOne(UserAccount, { emailKey: key, active: true });
  if (!user) return;
  const tokenId = randomBytes(32).toString('base64url');
  await transaction(own, async (tx) => {
    // A newer token voids the older ones.
    await rows(tx.em, sql`delete from reset_token where user_id = ${user.id}::uuid`);
    await rows(
      tx.em,
      sql`insert into reset_token (token_hash, user_id, expires_at)
          values (${sha256Hex(tokenId)}, ${user.id}::uuid, now() + interval '60 minutes')`,
    );
  });
  const token = signToken(ctx.core, 'reset', { subject: user.id, id: tokenId, livesForSeconds: resetSeconds });
  await ctx.core.mailer.send({
    to: user.email,
    subject: 'Choose a new password',
    text: [
      `Hello ${user.firstName},`,
      '',
      'somebody asked to set a new password for your account. The token below does it once, within 60 minutes:',
      '',
      token,
      '',
      `Give it as "token", with your "new_password", to POST ${ctx.core.settings.publicUrl ?? ''}/users.password-reset`,
      'or to the GraphQL mutation resetPassword. If it was not you, nothing has to be done.',
    ].join('\n'),
  });
}

/**
 * Sets a new password with a mailed token. Once: of parallel tries one wins. All older tokens of the user die.
 *
 * @throws InvalidInput the token is unknown, used, expired or superseded, or the password too short
 */
export async function resetPassword(ctx: Ctx, input: { token: string; newPassword: string }): Promise<void> {
  allow(ctx, 'resetPassword');
  checkNewPassword(input.newPassword, ctx.core.settings.passwordMinLength, 'newPassword');
  const tokenId = resetTokenId(ctx, input.token);
  const passwordHash = await withPasswordTurn('newPassword', () => hashPassword(input.newPassword));
  const userId = await transaction(ctx, async (tx) => {
    const [used] = await rows<{ user_id: string; valid: boolean }>(
      tx.em,
      sql`delete from reset_token where token_hash = ${sha256Hex(tokenId)} returning user_id, expires_at > now() valid`,
    );
    if (!used?.valid) throw spentToken();
    const changed = await tx.em.nativeUpdate(UserAccount, { id: used.user_id, active: true }, { passwordHash });
    if (changed === 0) throw spentToken();
    await rows(tx.em, sql`delete from reset_token where user_id = ${used.user_id}::uuid`);
    await revokeTokens(tx, used.user_id);
    return used.user_id;
  });
  forgetStanding(ctx.core, userId);
}

function resetTokenId(ctx: Ctx, token: string): string {
  try {
    return verifyToken(ctx.core, 'reset', token).jti;
  } catch {
    throw spentToken();
  }
}

function spentToken(): InvalidInput {
  return new InvalidInput('token', 'must be an unused reset token from the last 60 minutes; ask for a new one');
}

import { sql } from 'kysely';
import { allow } from '../../access.ts';
import type { Core, Ctx, Principal, Role } from '../../context.ts';
import { DomainError, type Fault, Forbidden, InvalidInput, RateLimited, Unauthenticated } from '../../errors.ts';
import { appendEvents } from '../../events.ts';
import { isUuid, newId } from '../../ids.ts';
import { inOrderOf } from '../../in-order.ts';
import { cachedFor } from '../../short-cache.ts';
import { rows } from '../../statement.ts';
import { isOneLine } from '../../text.ts';
import { sqlState, type Tx, transaction } from '../../transaction.ts';
import { checkNewPassword, hashPassword, passwordMatches, withPasswordTurn } from './password.ts';
import { countAttempt, forgetAttempts, startWait } from './throttle.ts';
import { signToken, verifyToken } from './token.service.ts';
import { UserAccount } from './user.entity.ts';

export interface NewUser {
  email: string;
  password: string;
  firstName: string;
  lastName: string;
}

export interface Session {
  user: UserAccount;
  token: string;
}

/** Another account has this e-mail. REST answers 401 (contract, users.signup). */
export class EmailInUse extends DomainError {
  constructor() {
    super('CONFLICT', 'this e-mail address is in use already');
  }
}

/** The e-mail or the password is wrong; which one is not said. */
export class LoginFailed extends Unauthenticated {
  constructor() {
    super('the e-mail address or the password is wrong');
  }
}

const userTokenSeconds = 86_400;
const longestName = 255;
const longestEmail = 320;
const signUpsPerAddress = 50;

/**
 * What "the same e-mail address" means: no case, compatibility forms folded, no blanks around it. Null when it is longer
 * than any account's.
 */
export function emailKey(email: string): string | null {
  const trimmed = email.trim();
  // Before NFKC, which takes time by the square of the marks that follow each other.
  if (trimmed.length > longestEmail) return null;
  // Again after the lower case: some letters have a composed form in lower case only.
  const key = trimmed.normalize('NFKC').trim().toLowerCase().normalize('NFKC');
  return key.length > longestEmail ? null : key;
}

/**
 * Makes an account and signs it in. The first account of an installation is ADMIN, whoever wins; later ones get
 * `SIGNUP_ROLE`, and need `SIGNUP_MODE` open.
 *
 * @throws EmailInUse @throws RateLimited after too many from one address
 */
export async function signUp(ctx: Ctx, input: NewUser): Promise<Session> {
  allow(ctx, 'signUp');
  if (ctx.core.settings.signupMode !== 'open') throw new Forbidden('signing up is closed, ask an administrator');
  const key = checkNewUser(ctx.core, input);
  const throttles = [{ who: `signup address ${ctx.address}`, limit: signUpsPerAddress }];
  const passwordHash = await withPasswordTurn('newPassword', async () => {
    const waitMs = await countAttempt(ctx, throttles);
    if (waitMs > 0) throw new RateLimited('too many sign-ups, wait before the next one', waitMs, signUpsPerAddress);
    await startWait(ctx, throttles);
    return hashPassword(input.password);
  });
  const user = await transaction(ctx, async (tx) => {
    const id = newId();
    const role = (await isFirst(tx, id)) ? 'ADMIN' : ctx.core.settings.signupRole;
    return insertUser(tx, { ...input, id, role, emailKey: key, passwordHash });
  });
  return startSession(ctx, user);
}

/** Makes an account for the operator's command line. @throws EmailInUse */
export async function createUser(ctx: Ctx, input: NewUser & { role: Role }): Promise<UserAccount> {
  if (ctx.principal.kind !== 'system') throw new Forbidden();
  const key = checkNewUser(ctx.core, input);
  const passwordHash = await withPasswordTurn('newPassword', () => hashPassword(input.password));
  return transaction(ctx, async (tx) => {
    const id = newId();
    await isFirst(tx, id);
    return insertUser(tx, { ...input, id, emailKey: key, passwordHash });
  });
}

/** One row decides the race of two first sign-ups. */
export async function isFirst(tx: Tx, userId: string): Promise<boolean> {
  const won = await rows(
    tx.em,
    sql`insert into installation (first_user_id) values (${userId}::uuid) on conflict do nothing returning 1`,
  );
  return won.length > 0;
}

/** @throws EmailInUse */
export async function insertUser(
  tx: Tx,
  user: NewUser & { id: string; role: Role; emailKey: string; passwordHash: string },
): Promise<UserAccount> {
  const created = tx.em.create(UserAccount, {
    id: user.id,
    email: user.email.trim(),
    emailKey: user.emailKey,
    passwordHash: user.passwordHash,
    firstName: user.firstName.trim(),
    lastName: user.lastName.trim(),
    avatarUrl: null,
    role: user.role,
    tokenVersion: 1,
    active: true,
    createdAt: tx.now(),
    firstSeenAt: null,
    lastSeenAt: null,
  });
  try {
    await tx.em.flush();
  } catch (error) {
    if (sqlState(error) === '23505') throw new EmailInUse();
    throw error;
  }
  return created;
}

// None of what mail programs read as a list, a name or a comment.
const emailPattern = /^[^\s@,;<>()"]+@[^\s@,;<>()"]+$/;

const emailFault = { path: 'email', message: 'must be an e-mail address such as grace@example.com' };

/** @returns the key of an address that mail can be sent to, or null */
function usableKey(email: string): string | null {
  const key = emailKey(email);
  // The key too: a full-width comma may become a plain one on the way.
  return key !== null && emailPattern.test(email.trim()) && emailPattern.test(key) ? key : null;
}

/** @returns the e-mail's key @throws InvalidInput */
export function checkEmail(email: string): string {
  const key = usableKey(email);
  if (key === null) throw new InvalidInput([emailFault]);
  return key;
}

/** @returns the e-mail's key @throws InvalidInput with all faults at once */
export function checkNewUser(core: Core, input: NewUser): string {
  const faults: Fault[] = [];
  const key = usableKey(input.email);
  if (key === null) faults.push(emailFault);
  for (const path of ['firstName', 'lastName'] as const) {
    // Names stand in mails.
    if (!isOneLine(input[path].trim(), longestName)) {
      faults.push({ path, message: `must be 1 to ${longestName} characters of one line` });
    }
  }
  try {
    checkNewPassword(input.password, core.settings.passwordMinLength, 'password');
  } catch (error) {
    if (!(error instanceof InvalidInput)) throw error;
    faults.push(...error.faults);
  }
  if (key === null || faults.length > 0) throw new InvalidInput(faults);
  return key;
}

const loginsPerAccount = 10;
const loginsPerAddress = 100;

/**
 * Signs in. An unknown address and a wrong password look the same and take the same time.
 *
 * @throws LoginFailed @throws RateLimited after too many failures
 */
export async function logIn(ctx: Ctx, input: { email: string; password: string }): Promise<Session> {
  allow(ctx, 'logIn');
  const key = emailKey(input.email);
  if (key === null) throw new LoginFailed();
  const throttles = [
    { who: `login ${key}`, limit: loginsPerAccount },
    { who: `login address ${ctx.address}`, limit: loginsPerAddress },
  ];
  const user = await withPasswordTurn('login', async () => {
    const waitMs = await countAttempt(ctx, throttles);
    if (waitMs > 0)
      throw new RateLimited('too many failed sign-ins, wait before the next try', waitMs, loginsPerAccount);
    const account = await ctx.em.findOne(UserAccount, { emailKey: key, active: true });
    return (await passwordMatches(account?.passwordHash, input.password)) ? account : null;
  });
  if (!user) {
    await startWait(ctx, throttles);
    throw new LoginFailed();
  }
  await forgetAttempts(ctx, throttles);
  return startSession(ctx, user);
}

/** Signs in whoever has shown who it is, and notes when. */
export async function startSession(ctx: Ctx, user: UserAccount): Promise<Session> {
  const lastSeenAt = ctx.now();
  const seen = { lastSeenAt, firstSeenAt: user.firstSeenAt ?? lastSeenAt };
  await ctx.em.nativeUpdate(UserAccount, { id: user.id }, seen);
  return { user: Object.assign(user, seen), token: userToken(ctx.core, user) };
}

/** Claims of a user's token: contract, "JWT of a user". */
export function userToken(core: Core, user: UserAccount): string {
  return signToken(core, 'user', {
    subject: user.id,
    claims: { user_id: user.id, token_version: user.tokenVersion },
    livesForSeconds: userTokenSeconds,
  });
}

interface Standing {
  role: Role;
  tokenVersion: number;
}

// A second at most, so that a revoked token dies everywhere within it (reliability, T5).
const standings = cachedFor<Standing | undefined>(1_000);
/** Messages and lists name their senders each time. */
const kept = cachedFor<UserAccount | null>(1_000);

/** The verifier of `aud: user`. */
export async function verifyUserToken(core: Core, token: string): Promise<Principal> {
  const claims = verifyToken(core, 'user', token);
  const standing = await standings.get(core, claims.sub, () => standingOf(core, claims.sub));
  if (!standing || standing.tokenVersion !== claims.token_version) throw new Unauthenticated();
  return {
    kind: 'user',
    userId: claims.sub,
    role: standing.role,
    tokenVersion: standing.tokenVersion,
    expiresAt: new Date(claims.exp! * 1000),
  };
}

async function standingOf(core: Core, userId: string): Promise<Standing | undefined> {
  if (!isUuid(userId)) return undefined;
  const [row] = await rows<{ role: Role; token_version: number }>(
    core.em.fork(),
    sql`select role, token_version from user_account where id = ${userId}::uuid and active`,
  );
  return row && { role: row.role, tokenVersion: row.token_version };
}

/** Ends all tokens of a user: raises the version and tells the sockets. Part of the caller's transaction. */
export async function revokeTokens(tx: Tx, userId: string): Promise<void> {
  const [raised] = await rows<{ token_version: number }>(
    tx.em,
    sql`update user_account set token_version = token_version + 1 where id = ${userId}::uuid returning token_version`,
  );
  if (!raised) return;
  const payload = { userId, tokenVersion: raised.token_version };
  await appendEvents(tx, [{ kind: 'user.revoked', conversationId: null, payload }]);
}

/** After the commit of a change: this process asks the database anew. */
export function forgetStanding(core: Core, userId: string): void {
  standings.forget(core, userId);
  kept.forget(core, userId);
}

/** The signed-in user. */
export async function getViewer(ctx: Ctx): Promise<UserAccount> {
  allow(ctx, 'viewer');
  if (ctx.principal.kind !== 'user') throw new Forbidden();
  return ctx.em.findOneOrFail(UserAccount, { id: ctx.principal.userId });
}

/** The signed-in user, or null; the caller has checked the rights. */
export async function findViewer(ctx: Ctx): Promise<UserAccount | null> {
  return ctx.principal.kind === 'user' ? ctx.em.findOneOrFail(UserAccount, { id: ctx.principal.userId }) : null;
}

/** In the order of `ids`, null for what is not there; the caller has checked the rights. */
export function findUsers({ core }: Pick<Ctx, 'core'>, ids: readonly string[]): Promise<(UserAccount | null)[]> {
  return kept.getAll(core, ids, async (missing) =>
    inOrderOf(missing, await core.em.fork().find(UserAccount, { id: { $in: missing } })),
  );
}

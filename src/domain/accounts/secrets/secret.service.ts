import { sql } from 'kysely';
import { allow } from '../../access.ts';
import type { Ctx } from '../../context.ts';
import { Conflict, type Fault, InvalidInput, NotFound } from '../../errors.ts';
import { newId } from '../../ids.ts';
import { inOrderOf } from '../../in-order.ts';
import { OutboundFault, parseAddress } from '../../outbound-policy.ts';
import { encryptSecret } from '../../secrets.ts';
import { rows } from '../../statement.ts';
import { isStorableText } from '../../text.ts';
import { sqlState, transaction } from '../../transaction.ts';
import { Secret } from './secret.entity.ts';

export interface NewSecret {
  /** 1 to 64 of a to z, 0 to 9 and _. */
  name: string;
  /** The only one it may be sent to: `scheme://host[:port]`. */
  origin: string;
  /** 1 byte to 8 KiB. */
  value: string;
}

const namePattern = /^[a-z0-9_]{1,64}$/;
const longestOrigin = 300;
const largestValue = 8_192;
const mostSecrets = 500;

/** All secrets by name; nothing of their values. */
export async function listSecrets(ctx: Ctx): Promise<Secret[]> {
  allow(ctx, 'secrets');
  return ctx.em.find(Secret, {}, { orderBy: { name: 'asc', id: 'asc' } });
}

/** @throws InvalidInput @throws Conflict there is one of this name */
export async function createSecret(ctx: Ctx, { name, origin, value }: NewSecret): Promise<Secret> {
  allow(ctx, 'createSecret');
  const faults = faultsOf({ origin, value });
  if (!namePattern.test(name)) faults.unshift({ path: 'name', message: 'must be 1 to 64 of a to z, 0 to 9 and _' });
  if (faults.length > 0) throw new InvalidInput(faults);
  return transaction(ctx, async (tx) => {
    // One at a time, so that two at once are counted.
    await rows(tx.em, sql`select pg_advisory_xact_lock(10, hashtext('secret'))`);
    if ((await tx.em.count(Secret)) >= mostSecrets) {
      throw new InvalidInput('name', `there are ${mostSecrets} secrets, no more are taken: delete one first`);
    }
    const bound = { id: newId(), origin: originOf(origin)! };
    const now = tx.now();
    const secret = tx.em.create(Secret, {
      ...bound,
      name,
      valueEncrypted: sealed(ctx, bound, value),
      createdAt: now,
      updatedAt: now,
    });
    try {
      await tx.em.flush();
    } catch (error) {
      if (sqlState(error) === '23505') throw new Conflict('there is a secret of this name');
      throw error;
    }
    return secret;
  });
}

/**
 * Changes what is given. A new origin takes the value with it: otherwise whoever may change secrets, but does not know
 * them, could have one sent to themselves.
 *
 * @throws NotFound @throws InvalidInput
 */
export async function updateSecret(
  ctx: Ctx,
  { id, origin, value }: { id: string; origin?: string | null; value?: string | null },
): Promise<Secret> {
  allow(ctx, 'updateSecret');
  const faults = faultsOf({ origin, value });
  if (faults.length > 0) throw new InvalidInput(faults);
  return transaction(ctx, async (tx) => {
    // Locked: a value is sealed for the origin that it is stored with.
    await rows(tx.em, sql`select 1 from secret where id = ${id}::uuid for no key update`);
    const secret = await tx.em.findOne(Secret, { id });
    if (!secret) throw new NotFound('secret', id);
    const wanted = origin == null ? secret.origin : originOf(origin)!;
    if (value == null) {
      if (wanted === secret.origin) return secret;
      throw new InvalidInput('value', 'must be given again when the origin changes');
    }
    tx.em.assign(secret, {
      origin: wanted,
      valueEncrypted: sealed(ctx, { id, origin: wanted }, value),
      updatedAt: tx.now(),
    });
    await tx.em.flush();
    return secret;
  });
}

/** @throws NotFound */
export async function deleteSecret(ctx: Ctx, { id }: { id: string }): Promise<void> {
  allow(ctx, 'deleteSecret');
  if ((await ctx.em.nativeDelete(Secret, { id })) === 0) throw new NotFound('secret', id);
}

/** In the order of `ids`, null for what is not there. */
export async function findSecrets(ctx: Ctx, ids: readonly string[]): Promise<(Secret | null)[]> {
  allow(ctx, 'secrets');
  return inOrderOf(ids, await ctx.em.find(Secret, { id: { $in: [...ids] } }));
}

// Bound to both: a row whose origin was changed beside this service, or that got another one's value, does not open.
function sealed({ core }: Ctx, { id, origin }: { id: string; origin: string }, value: string): string {
  return encryptSecret(core.settings, `secret ${id} ${origin}`, value);
}

function faultsOf({ origin, value }: { origin?: string | null; value?: string | null }): Fault[] {
  const faults: Fault[] = [];
  if (origin != null && originOf(origin) === undefined) {
    const message = `must be http or https, a host and perhaps a port, such as https://crm.example.com, of at most ${longestOrigin} characters and nothing behind`;
    faults.push({ path: 'origin', message });
  }
  if (value != null && !isValue(value)) {
    faults.push({ path: 'value', message: 'must be 1 byte to 8 KiB, without NUL or half a surrogate pair' });
  }
  return faults;
}

function isValue(value: string): boolean {
  return value !== '' && Buffer.byteLength(value) <= largestValue && isStorableText(value);
}

/** As WHATWG URL writes it, the default port left out; undefined for what is more or less than an origin. */
function originOf(text: string): string | undefined {
  try {
    const { href, origin } = parseAddress(text.trim());
    return href === `${origin}/` && origin.length <= longestOrigin ? origin : undefined;
  } catch (error) {
    if (error instanceof OutboundFault) return undefined;
    throw error;
  }
}

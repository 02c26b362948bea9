import { LockMode } from '@mikro-orm/core';
import { sql } from 'kysely';
import { allow } from '../../access.ts';
import type { Ctx } from '../../context.ts';
import { Conflict, type Fault, InvalidInput, NotFound } from '../../errors.ts';
import { newId } from '../../ids.ts';
import { inOrderOf } from '../../in-order.ts';
import { encryptSecret } from '../../secrets.ts';
import { rows } from '../../statement.ts';
import { isStorableText, isWebAddress } from '../../text.ts';
import { sqlState, transaction } from '../../transaction.ts';
import { Secret } from './secret.entity.ts';

const mostSecrets = 500;
const largestValue = 8_192;
const purpose = 'secret';

export interface NewSecret {
  /** 1 to 64 of a to z, 0 to 9 and _: templates name it. */
  name: string;
  /** `https://api.example.com`: scheme, host and port, nothing behind them. */
  origin: string;
  /** 1 byte to 8 KiB. It is never shown again. */
  value: string;
}

/** All secrets by name, without their values. */
export async function listSecrets(ctx: Ctx): Promise<Secret[]> {
  allow(ctx, 'secrets');
  return ctx.em.find(Secret, {}, { orderBy: { name: 'asc' } });
}

/** In the order of `ids`, null for what is not there. */
export async function findSecrets(ctx: Ctx, ids: readonly string[]): Promise<(Secret | null)[]> {
  allow(ctx, 'secrets');
  return inOrderOf(ids, await ctx.em.find(Secret, { id: { $in: [...ids] } }));
}

/** @throws InvalidInput @throws Conflict the name is taken */
export async function createSecret(ctx: Ctx, { name, origin, value }: NewSecret): Promise<Secret> {
  allow(ctx, 'createSecret');
  const faults = [...nameFaults(name), ...originFaults(origin), ...valueFaults(value)];
  if (faults.length > 0) throw new InvalidInput(faults);
  try {
    return await transaction(ctx, async (tx) => {
      await rows(tx.em, sql`select pg_advisory_xact_lock(12, 0)`);
      if ((await tx.em.count(Secret)) >= mostSecrets) {
        throw new InvalidInput('name', `there are ${mostSecrets} secrets, no more are taken: delete one first`);
      }
      const secret = tx.em.create(Secret, {
        id: newId(),
        name,
        origin: new URL(origin).origin,
        valueEncrypted: encryptSecret(tx.core.settings, purpose, value),
        createdAt: tx.now(),
        updatedAt: tx.now(),
      });
      await tx.em.flush();
      return secret;
    });
  } catch (error) {
    if (sqlState(error) === '23505') throw new Conflict(`there is a secret of the name ${name} already`);
    throw error;
  }
}

/**
 * Replaces the value, or the origin together with the value: a stored value is never sent to an origin that it was not given
 * for.
 *
 * @throws NotFound @throws InvalidInput
 */
export async function updateSecret(
  ctx: Ctx,
  { id, origin, value }: { id: string; origin?: string | null; value?: string | null },
): Promise<Secret> {
  allow(ctx, 'updateSecret');
  const faults = [...(origin == null ? [] : originFaults(origin)), ...(value == null ? [] : valueFaults(value))];
  if (faults.length > 0) throw new InvalidInput(faults);
  return transaction(ctx, async (tx) => {
    const secret = await tx.em.findOne(Secret, { id }, { lockMode: LockMode.PESSIMISTIC_WRITE });
    if (!secret) throw new NotFound('secret', id);
    const isMoved = origin != null && new URL(origin).origin !== secret.origin;
    if (isMoved && value == null) {
      throw new InvalidInput(
        'value',
        'must be given again with another origin: the stored one is for the old origin only',
      );
    }
    if (isMoved) secret.origin = new URL(origin).origin;
    if (value != null) secret.valueEncrypted = encryptSecret(tx.core.settings, purpose, value);
    secret.updatedAt = tx.now();
    await tx.em.flush();
    return secret;
  });
}

/** @throws NotFound */
export async function deleteSecret(ctx: Ctx, { id }: { id: string }): Promise<void> {
  allow(ctx, 'deleteSecret');
  if ((await ctx.em.nativeDelete(Secret, { id })) === 0) throw new NotFound('secret', id);
}

function nameFaults(name: string): Fault[] {
  if (/^[a-z0-9_]{1,64}$/.test(name)) return [];
  return [{ path: 'name', message: 'must be 1 to 64 of a to z, 0 to 9 and _' }];
}

function originFaults(origin: string): Fault[] {
  const url = isWebAddress(origin) ? new URL(origin) : undefined;
  const isBare =
    url && url.pathname === '/' && url.search === '' && url.hash === '' && url.username === '' && url.password === '';
  if (isBare && !/[?#]/.test(origin)) return [];
  return [{ path: 'origin', message: 'must be scheme, host and port only, such as https://api.example.com' }];
}

function valueFaults(value: string): Fault[] {
  const bytes = Buffer.byteLength(value);
  if (bytes >= 1 && bytes <= largestValue && isStorableText(value)) return [];
  return [{ path: 'value', message: `must be 1 to ${largestValue} bytes without NUL` }];
}

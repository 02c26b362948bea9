import { Arg, Ctx, Mutation, Query, Resolver } from 'type-graphql';
import {
  createSecret,
  deleteSecret,
  listSecrets,
  updateSecret,
} from '../../../domain/accounts/secrets/secret.service.ts';
import type { GraphCtx } from '../../context.ts';
import { globalId, uuidOf } from '../../ids.ts';
import { DeletePayload } from '../../stored.ts';
import { CreateSecretInput, SecretInput, SecretPayload, SecretType, UpdateSecretInput } from './secret.type.ts';

const idOf = ({ secretId }: SecretInput) => uuidOf('Secret', secretId, 'secretId');

@Resolver()
export class SecretResolver {
  @Query(() => [SecretType], { description: 'All secrets by name, without their values; 500 at most.' })
  secrets(@Ctx() ctx: GraphCtx) {
    return listSecrets(ctx);
  }

  @Mutation(() => SecretPayload, { description: 'Stores a secret. CONFLICT for a name that is taken.' })
  async createSecret(@Ctx() ctx: GraphCtx, @Arg('input', () => CreateSecretInput) input: CreateSecretInput) {
    return { secret: await createSecret(ctx, input) };
  }

  @Mutation(() => SecretPayload, {
    description: 'Gives a secret another value, or another value and origin. NOT_FOUND.',
  })
  async updateSecret(@Ctx() ctx: GraphCtx, @Arg('input', () => UpdateSecretInput) input: UpdateSecretInput) {
    return { secret: await updateSecret(ctx, { id: idOf(input), origin: input.origin, value: input.value }) };
  }

  @Mutation(() => DeletePayload, { description: 'Deletes a secret; what names it fails from then on. NOT_FOUND.' })
  async deleteSecret(@Ctx() ctx: GraphCtx, @Arg('input', () => SecretInput) input: SecretInput) {
    const id = idOf(input);
    await deleteSecret(ctx, { id });
    return { deletedId: globalId('Secret', id) };
  }
}

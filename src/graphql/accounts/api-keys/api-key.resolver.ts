import { Arg, Args, Ctx, ID, Mutation, Query, Resolver } from 'type-graphql';
import { apiKeyCursor, listApiKeys } from '../../../domain/accounts/api-keys/api-key.list.service.ts';
import { createApiKey, revokeApiKey, updateApiKey } from '../../../domain/accounts/api-keys/api-key.service.ts';
import { PageArgs, toConnection } from '../../connection.ts';
import type { GraphCtx } from '../../context.ts';
import { optionalUuidOf, uuidOf } from '../../ids.ts';
import {
  ApiKeyConnection,
  ApiKeyInput,
  ApiKeyPayload,
  CreateApiKeyInput,
  CreateApiKeyPayload,
  RevokeApiKeyPayload,
  UpdateApiKeyInput,
} from './api-key.type.ts';

const idOf = ({ apiKeyId }: ApiKeyInput) => uuidOf('ApiKey', apiKeyId, 'apiKeyId');

@Resolver()
export class ApiKeyResolver {
  @Query(() => ApiKeyConnection, {
    description: 'API keys, the newest first; those that are revoked or expired too. NOT_FOUND for an unknown group.',
  })
  async apiKeys(
    @Ctx() ctx: GraphCtx,
    @Args(() => PageArgs) args: PageArgs,
    @Arg('groupId', () => ID, { nullable: true, description: 'Of this group only.' }) groupId?: string,
  ) {
    const page = await listApiKeys(ctx, { ...args, groupId: optionalUuidOf('ApiKeyGroup', groupId, 'groupId') });
    return toConnection(page, apiKeyCursor, { total: page.total });
  }

  @Mutation(() => CreateApiKeyPayload, { description: 'Makes an API key and shows it, this once.' })
  createApiKey(@Ctx() ctx: GraphCtx, @Arg('input', () => CreateApiKeyInput) input: CreateApiKeyInput) {
    return createApiKey(ctx, input);
  }

  @Mutation(() => ApiKeyPayload, { description: 'Changes an API key. NOT_FOUND, CONFLICT for a revoked one.' })
  async updateApiKey(@Ctx() ctx: GraphCtx, @Arg('input', () => UpdateApiKeyInput) input: UpdateApiKeyInput) {
    const { name, variables, allowedCidrs, expiresAt } = input;
    return { apiKey: await updateApiKey(ctx, { id: idOf(input), name, variables, allowedCidrs, expiresAt }) };
  }

  @Mutation(() => RevokeApiKeyPayload, { description: 'Ends an API key for good, at once and everywhere. NOT_FOUND.' })
  revokeApiKey(@Ctx() ctx: GraphCtx, @Arg('input', () => ApiKeyInput) input: ApiKeyInput) {
    return revokeApiKey(ctx, { id: idOf(input) });
  }
}

import { Arg, Args, Ctx, FieldResolver, Mutation, Query, Resolver, Root } from 'type-graphql';
import type { ApiKeyGroup } from '../../../domain/accounts/api-keys/api-key.entity.ts';
import {
  apiKeyCursor,
  createApiKey,
  listApiKeys,
  revokeApiKey,
  updateApiKey,
} from '../../../domain/accounts/api-keys/api-key.service.ts';
import {
  createApiKeyGroup,
  deleteApiKeyGroup,
  listApiKeyGroups,
  listKeysOfGroup,
  updateApiKeyGroup,
} from '../../../domain/accounts/api-keys/api-key-group.service.ts';
import { PageArgs, toConnection } from '../../connection.ts';
import type { GraphCtx } from '../../context.ts';
import { globalId, uuidOf } from '../../ids.ts';
import { DeletePayload } from '../../messaging/tags/tag.type.ts';
import {
  ApiKeyConnection,
  ApiKeyGroupInput,
  ApiKeyGroupPayload,
  ApiKeyGroupType,
  ApiKeyInput,
  ApiKeyPayload,
  ApiKeyType,
  CreateApiKeyGroupInput,
  CreateApiKeyInput,
  CreateApiKeyPayload,
  RevokeApiKeyPayload,
  UpdateApiKeyGroupInput,
  UpdateApiKeyInput,
} from './api-key.type.ts';

const keyIdOf = ({ apiKeyId }: ApiKeyInput) => uuidOf('ApiKey', apiKeyId, 'apiKeyId');
const keyIdsOf = (ids: string[] | undefined) => ids?.map((id, index) => uuidOf('ApiKey', id, `apiKeyIds[${index}]`));
const groupIdOf = ({ groupId }: ApiKeyGroupInput) => uuidOf('ApiKeyGroup', groupId, 'groupId');

@Resolver()
export class ApiKeyResolver {
  @Query(() => ApiKeyConnection, { description: 'All API keys, the newest first; those that were revoked too.' })
  async apiKeys(@Ctx() ctx: GraphCtx, @Args(() => PageArgs) args: PageArgs) {
    const page = await listApiKeys(ctx, args);
    return toConnection(page, apiKeyCursor, { total: page.total });
  }

  @Mutation(() => CreateApiKeyPayload, { description: 'Makes an API key, which is shown here and never again.' })
  createApiKey(@Ctx() ctx: GraphCtx, @Arg('input', () => CreateApiKeyInput) input: CreateApiKeyInput) {
    return createApiKey(ctx, input);
  }

  @Mutation(() => ApiKeyPayload, { description: 'Changes name, variables, addresses or expiry. NOT_FOUND.' })
  async updateApiKey(@Ctx() ctx: GraphCtx, @Arg('input', () => UpdateApiKeyInput) input: UpdateApiKeyInput) {
    const { name, variables, addresses, expiresAt } = input;
    return { apiKey: await updateApiKey(ctx, { id: keyIdOf(input), name, variables, addresses, expiresAt }) };
  }

  @Mutation(() => RevokeApiKeyPayload, { description: 'Ends an API key for good, everywhere at once. NOT_FOUND.' })
  revokeApiKey(@Ctx() ctx: GraphCtx, @Arg('input', () => ApiKeyInput) input: ApiKeyInput) {
    return revokeApiKey(ctx, { id: keyIdOf(input) });
  }
}

@Resolver(() => ApiKeyGroupType)
export class ApiKeyGroupResolver {
  @Query(() => [ApiKeyGroupType], { description: 'All groups of API keys, by name.' })
  apiKeyGroups(@Ctx() ctx: GraphCtx) {
    return listApiKeyGroups(ctx);
  }

  @Mutation(() => ApiKeyGroupPayload, { description: 'Makes a group. NOT_FOUND a key, CONFLICT the name is taken.' })
  async createApiKeyGroup(
    @Ctx() ctx: GraphCtx,
    @Arg('input', () => CreateApiKeyGroupInput) { name, apiKeyIds }: CreateApiKeyGroupInput,
  ) {
    return { group: await createApiKeyGroup(ctx, { name, keyIds: keyIdsOf(apiKeyIds) }) };
  }

  @Mutation(() => ApiKeyGroupPayload, {
    description: 'Changes the name of a group, or which keys belong to it. NOT_FOUND, CONFLICT the name is taken.',
  })
  async updateApiKeyGroup(
    @Ctx() ctx: GraphCtx,
    @Arg('input', () => UpdateApiKeyGroupInput) input: UpdateApiKeyGroupInput,
  ) {
    const { name, apiKeyIds } = input;
    return { group: await updateApiKeyGroup(ctx, { id: groupIdOf(input), name, keyIds: keyIdsOf(apiKeyIds) }) };
  }

  @Mutation(() => DeletePayload, { description: 'Deletes a group; its keys stay. NOT_FOUND.' })
  async deleteApiKeyGroup(@Ctx() ctx: GraphCtx, @Arg('input', () => ApiKeyGroupInput) input: ApiKeyGroupInput) {
    const id = groupIdOf(input);
    await deleteApiKeyGroup(ctx, { id });
    return { deletedId: globalId('ApiKeyGroup', id) };
  }

  @FieldResolver(() => [ApiKeyType], { description: 'The keys that belong to it, the newest first.' })
  apiKeys(@Ctx() ctx: GraphCtx, @Root() { id }: ApiKeyGroup) {
    return listKeysOfGroup(ctx, id);
  }
}

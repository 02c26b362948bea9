import { Arg, Ctx, Mutation, Query, Resolver } from 'type-graphql';
import {
  addApiKeysToGroup,
  createApiKeyGroup,
  deleteApiKeyGroup,
  listApiKeyGroups,
  removeApiKeysFromGroup,
  renameApiKeyGroup,
} from '../../../domain/accounts/api-keys/api-key-group.service.ts';
import type { GraphCtx } from '../../context.ts';
import { globalId, uuidOf } from '../../ids.ts';
import { DeletePayload } from '../../stored.ts';
import {
  ApiKeyGroupInput,
  ApiKeyGroupKeysInput,
  ApiKeyGroupPayload,
  ApiKeyGroupType,
  CreateApiKeyGroupInput,
  RenameApiKeyGroupInput,
} from './api-key-group.type.ts';

const idOf = ({ groupId }: ApiKeyGroupInput) => uuidOf('ApiKeyGroup', groupId, 'groupId');

const membersOf = (input: ApiKeyGroupKeysInput) => ({
  groupId: idOf(input),
  apiKeyIds: input.apiKeyIds.map((id, index) => uuidOf('ApiKey', id, `apiKeyIds[${index}]`)),
});

@Resolver()
export class ApiKeyGroupResolver {
  @Query(() => [ApiKeyGroupType], { description: 'All groups of API keys, by name; 100 at most.' })
  apiKeyGroups(@Ctx() ctx: GraphCtx) {
    return listApiKeyGroups(ctx);
  }

  @Mutation(() => ApiKeyGroupPayload, { description: 'Makes a group of API keys. CONFLICT for a name that is taken.' })
  async createApiKeyGroup(
    @Ctx() ctx: GraphCtx,
    @Arg('input', () => CreateApiKeyGroupInput) { name }: CreateApiKeyGroupInput,
  ) {
    return { group: await createApiKeyGroup(ctx, { name }) };
  }

  @Mutation(() => ApiKeyGroupPayload, {
    description: 'Renames a group of API keys. NOT_FOUND, CONFLICT for a name that is taken.',
  })
  async renameApiKeyGroup(
    @Ctx() ctx: GraphCtx,
    @Arg('input', () => RenameApiKeyGroupInput) input: RenameApiKeyGroupInput,
  ) {
    return { group: await renameApiKeyGroup(ctx, { id: idOf(input), name: input.name }) };
  }

  @Mutation(() => DeletePayload, { description: 'Deletes a group of API keys; the keys stay. NOT_FOUND.' })
  async deleteApiKeyGroup(@Ctx() ctx: GraphCtx, @Arg('input', () => ApiKeyGroupInput) input: ApiKeyGroupInput) {
    const id = idOf(input);
    await deleteApiKeyGroup(ctx, { id });
    return { deletedId: globalId('ApiKeyGroup', id) };
  }

  @Mutation(() => ApiKeyGroupPayload, { description: 'Puts API keys into a group; who is in it stays. NOT_FOUND.' })
  async addApiKeysToGroup(@Ctx() ctx: GraphCtx, @Arg('input', () => ApiKeyGroupKeysInput) input: ApiKeyGroupKeysInput) {
    return { group: await addApiKeysToGroup(ctx, membersOf(input)) };
  }

  @Mutation(() => ApiKeyGroupPayload, {
    description: 'Takes API keys out of a group; those that are not in it are passed over. NOT_FOUND for the group.',
  })
  async removeApiKeysFromGroup(
    @Ctx() ctx: GraphCtx,
    @Arg('input', () => ApiKeyGroupKeysInput) input: ApiKeyGroupKeysInput,
  ) {
    return { group: await removeApiKeysFromGroup(ctx, membersOf(input)) };
  }
}

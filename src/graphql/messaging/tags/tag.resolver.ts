import { Arg, Ctx, Mutation, Query, Resolver } from 'type-graphql';
import { createTag, deleteTag, listTags, updateTag } from '../../../domain/messaging/tags/tag.service.ts';
import type { GraphCtx } from '../../context.ts';
import { globalId, uuidOf } from '../../ids.ts';
import { DeletePayload } from '../../stored.ts';
import { CreateTagInput, TagInput, TagPayload, TagType, UpdateTagInput } from './tag.type.ts';

@Resolver()
export class TagResolver {
  @Query(() => [TagType], { description: 'All tags by name.' })
  tags(@Ctx() ctx: GraphCtx) {
    return listTags(ctx);
  }

  @Mutation(() => TagPayload, { description: 'Makes a tag.' })
  async createTag(@Ctx() ctx: GraphCtx, @Arg('input', () => CreateTagInput) input: CreateTagInput) {
    return { tag: await createTag(ctx, input) };
  }

  @Mutation(() => TagPayload, { description: 'Renames or recolours a tag. NOT_FOUND.' })
  async updateTag(@Ctx() ctx: GraphCtx, @Arg('input', () => UpdateTagInput) { tagId, ...changes }: UpdateTagInput) {
    return { tag: await updateTag(ctx, { id: uuidOf('Tag', tagId, 'tagId'), ...changes }) };
  }

  @Mutation(() => DeletePayload, { description: 'Deletes a tag; all conversations lose it. NOT_FOUND.' })
  async deleteTag(@Ctx() ctx: GraphCtx, @Arg('input', () => TagInput) input: TagInput) {
    const id = uuidOf('Tag', input.tagId, 'tagId');
    await deleteTag(ctx, { id });
    return { deletedId: globalId('Tag', id) };
  }
}

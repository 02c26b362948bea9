import { Arg, Ctx, Mutation, Resolver } from 'type-graphql';
import { InvalidInput } from '../../../domain/errors.ts';
import { isUuid } from '../../../domain/ids.ts';
import {
  type MetadataSubject,
  mergeUserData,
  setMetadata,
} from '../../../domain/messaging/metadata/subject-metadata.service.ts';
import type { GraphCtx } from '../../context.ts';
import { parseGlobalId } from '../../ids.ts';
import { isJsonObject } from '../../json-object.ts';
import { MergeUserDataInput, MetadataPayload, SetMetadataInput } from './metadata.type.ts';

const loaderOf = { Conversation: 'conversation', Message: 'message', Channel: 'channel' } as const;

function subjectOf(subjectId: string): MetadataSubject {
  const parsed = parseGlobalId(subjectId);
  if (!parsed || !Object.hasOwn(loaderOf, parsed.type) || !isUuid(parsed.id)) {
    throw new InvalidInput('subjectId', 'must be the opaque id of a conversation, message or channel');
  }
  return parsed as MetadataSubject;
}

async function payload(ctx: GraphCtx, { type, id }: MetadataSubject, changed: boolean) {
  const loader = ctx.loaders[loaderOf[type]];
  loader.clear(id);
  const found = (await loader.load(id)) as object;
  return { subject: Object.assign(found, { typename: type }), changed };
}

@Resolver()
export class MetadataResolver {
  @Mutation(() => MetadataPayload, { description: 'Notes a fact about something, or removes it. NOT_FOUND.' })
  async setMetadata(
    @Ctx() ctx: GraphCtx,
    @Arg('input', () => SetMetadataInput) { subjectId, key, value = null }: SetMetadataInput,
  ) {
    const subject = subjectOf(subjectId);
    return payload(ctx, subject, await setMetadata(ctx, { subject, key, value }));
  }

  @Mutation(() => MetadataPayload, { description: "Merges facts of the operator's own systems. NOT_FOUND." })
  async mergeUserData(
    @Ctx() ctx: GraphCtx,
    @Arg('input', () => MergeUserDataInput) { subjectId, data }: MergeUserDataInput,
  ) {
    const subject = subjectOf(subjectId);
    if (!isJsonObject(data)) throw new InvalidInput('data', 'must be an object');
    return payload(ctx, subject, await mergeUserData(ctx, { subject, data }));
  }
}

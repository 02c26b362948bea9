import { Arg, Args, Ctx, FieldResolver, Int, Mutation, Query, Resolver, Root } from 'type-graphql';
import { InvalidInput } from '../../../domain/errors.ts';
import { channelCursor } from '../../../domain/messaging/channels/channel.service.ts';
import { ingest } from '../../../domain/messaging/sources/ingest.service.ts';
import type { Source } from '../../../domain/messaging/sources/source.entity.ts';
import {
  allowSourceField,
  createSource,
  deleteSource,
  findSource,
  listSources,
  openOutbound,
  rotateSourceToken,
  seenActionEndpoint,
  updateSource,
} from '../../../domain/messaging/sources/source.service.ts';
import { PageArgs, toConnection } from '../../connection.ts';
import type { GraphCtx } from '../../context.ts';
import { sourceNameOf } from '../../ids.ts';
import { isJsonObject } from '../../json-object.ts';
import { plainFields } from '../../plain-fields.ts';
import { UrlScalar } from '../../scalars.ts';
import { ChannelConnection } from '../channels/channel.type.ts';
import {
  CreateSourceInput,
  DeleteSourcePayload,
  DeliveryAttemptType,
  IngestInput,
  IngestPayload,
  OpenOutboundInput,
  OpenOutboundPayload,
  SourceInput,
  SourcePayload,
  SourceSecretsPayload,
  SourceType,
  UpdateSourceInput,
} from './source.type.ts';

const named = <Input extends { sourceId: string }>(input: Input): Input => ({
  ...input,
  sourceId: sourceNameOf(input.sourceId),
});

@Resolver(() => SourceType)
export class SourceResolver {
  @Query(() => [SourceType], { description: 'All sources. Agents see names and pictures.' })
  sources(@Ctx() ctx: GraphCtx) {
    return listSources(ctx);
  }

  @Query(() => SourceType, { nullable: true, description: 'One source; null for an unknown name.' })
  source(@Ctx() ctx: GraphCtx, @Arg('sourceId', () => String, { description: 'Its name.' }) sourceId: string) {
    return findSource(ctx, sourceNameOf(sourceId));
  }

  @Mutation(() => SourceSecretsPayload, { description: 'Makes a source. CONFLICT when the name is taken.' })
  createSource(@Ctx() ctx: GraphCtx, @Arg('input', () => CreateSourceInput) input: CreateSourceInput) {
    // Inputs that name a source take its opaque id too: a name must not read as one.
    if (sourceNameOf(input.sourceId) !== input.sourceId) throw new InvalidInput('sourceId', 'must not be an opaque id');
    return createSource(ctx, input);
  }

  @Mutation(() => SourcePayload, { description: 'Changes the given fields. NOT_FOUND.' })
  async updateSource(@Ctx() ctx: GraphCtx, @Arg('input', () => UpdateSourceInput) input: UpdateSourceInput) {
    return { source: await updateSource(ctx, named(input)) };
  }

  @Mutation(() => DeleteSourcePayload, {
    description: 'Ends its token for good and disconnects its channels; its conversations stay readable.',
  })
  deleteSource(@Ctx() ctx: GraphCtx, @Arg('input', () => SourceInput) input: SourceInput) {
    return deleteSource(ctx, named(input));
  }

  @Mutation(() => SourceSecretsPayload, { description: 'Makes new secrets; the old token ends at once. NOT_FOUND.' })
  rotateSourceToken(@Ctx() ctx: GraphCtx, @Arg('input', () => SourceInput) input: SourceInput) {
    return rotateSourceToken(ctx, named(input));
  }

  @Mutation(() => OpenOutboundPayload, {
    description:
      'Opens an address inside private networks while the process runs, for trying things out. Not in production.',
  })
  openOutbound(@Ctx() ctx: GraphCtx, @Arg('input', () => OpenOutboundInput) input: OpenOutboundInput) {
    return { hostPort: openOutbound(ctx, input) };
  }

  @Mutation(() => IngestPayload, { description: 'Takes a batch of the calling source; answered when it is durable.' })
  ingest(@Ctx() ctx: GraphCtx, @Arg('input', () => IngestInput) input: IngestInput) {
    return takeBatch(ctx, input);
  }

  @FieldResolver(() => UrlScalar, { nullable: true, description: 'Where its action calls go; null for AGENT.' })
  actionEndpoint(@Ctx() ctx: GraphCtx, @Root() source: Source) {
    return seenActionEndpoint(ctx, source);
  }

  @FieldResolver(() => Boolean, {
    nullable: true,
    description: 'False when the last delivery used up its retries, true again after the next success. For ADMIN.',
  })
  reachable(@Ctx() ctx: GraphCtx, @Root() source: Source) {
    allowSourceField(ctx, 'reachable');
    return source.reachable;
  }

  @FieldResolver(() => String, { nullable: true, description: 'Why the last delivery failed for good. For ADMIN.' })
  lastError(@Ctx() ctx: GraphCtx, @Root() source: Source) {
    allowSourceField(ctx, 'lastError');
    return source.lastError;
  }

  @FieldResolver(() => ChannelConnection, { description: 'Its channels, oldest first.' })
  async channels(@Ctx() ctx: GraphCtx, @Root() source: Source, @Args(() => PageArgs) args: PageArgs) {
    const page = await ctx.loaders.channelsOf(source.id, args);
    return toConnection(page, channelCursor, { total: page.total });
  }

  @FieldResolver(() => [DeliveryAttemptType], {
    nullable: true,
    description: 'The last calls to the action endpoint, newest first. For ADMIN.',
  })
  deliveries(
    @Ctx() ctx: GraphCtx,
    @Root() source: Source,
    @Arg('last', () => Int, { defaultValue: 20, description: '1 to 100.' }) last: number,
    @Arg('onlyFailed', () => Boolean, { defaultValue: false, description: 'Only those that went wrong.' })
    onlyFailed: boolean,
  ) {
    return ctx.loaders.deliveriesOf(source.id, { last, onlyFailed });
  }
}

// TypeGraphQL would make an object of a class out of each message of a batch.
plainFields<undefined, { input: IngestInput }>('Mutation', {
  ingest: (_, { input }, ctx) => takeBatch(ctx, input),
});

async function takeBatch(ctx: GraphCtx, input: IngestInput) {
  const bad = input.metadata.findIndex(({ metadata }) => !isJsonObject(metadata));
  if (bad >= 0) throw new InvalidInput(`metadata[${bad}].metadata`, 'must be an object');
  const items = await ingest(ctx, input);
  return { items: items.map(({ id: messageId, sourceMessageId, status }) => ({ messageId, sourceMessageId, status })) };
}

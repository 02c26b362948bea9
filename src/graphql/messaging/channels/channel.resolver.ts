import { Arg, Args, Ctx, FieldResolver, Mutation, Query, Resolver, Root } from 'type-graphql';
import { InvalidInput } from '../../../domain/errors.ts';
import type { Channel } from '../../../domain/messaging/channels/channel.entity.ts';
import {
  channelCursor,
  createSourceChannel,
  disconnectChannel,
  disconnectSourceChannel,
  listChannels,
  listConnectedChannels,
  listSourceChannels,
} from '../../../domain/messaging/channels/channel.service.ts';
import { toConnection } from '../../connection.ts';
import type { GraphCtx } from '../../context.ts';
import { sourceNameOf, uuidOf } from '../../ids.ts';
import { isJsonObject } from '../../json-object.ts';
import { SourceType } from '../sources/source.type.ts';
import {
  ChannelArgs,
  ChannelConnection,
  ChannelInput,
  ChannelPayload,
  ChannelType,
  CreateSourceChannelInput,
  CreateSourceChannelPayload,
} from './channel.type.ts';

@Resolver(() => ChannelType)
export class ChannelResolver {
  @Query(() => ChannelConnection, { description: 'Channels, oldest first.' })
  async channels(@Ctx() ctx: GraphCtx, @Args(() => ChannelArgs) args: ChannelArgs) {
    const page = await listChannels(ctx, { ...args, sourceId: args.sourceId && sourceNameOf(args.sourceId) });
    return toConnection(page, channelCursor, { total: page.total });
  }

  @Query(() => [ChannelType], { description: 'All connected channels at once, for menus and the legacy list.' })
  connectedChannels(
    @Ctx() ctx: GraphCtx,
    @Arg('sourceId', () => String, { nullable: true, description: 'Only of this source.' }) sourceId?: string,
  ) {
    return listConnectedChannels(ctx, { sourceId: sourceId && sourceNameOf(sourceId) });
  }

  @Query(() => [ChannelType], { description: 'The connected channels of the calling source.' })
  sourceChannels(@Ctx() ctx: GraphCtx) {
    return listSourceChannels(ctx);
  }

  @Mutation(() => CreateSourceChannelPayload, {
    description: 'Makes, renames or reconnects a channel of the calling source.',
  })
  createSourceChannel(
    @Ctx() ctx: GraphCtx,
    @Arg('input', () => CreateSourceChannelInput) { metadata, ...input }: CreateSourceChannelInput,
  ) {
    if (metadata != null && !isJsonObject(metadata)) throw new InvalidInput('metadata', 'must be an object');
    return createSourceChannel(ctx, { ...input, metadata });
  }

  @Mutation(() => ChannelPayload, { description: 'Disconnects a channel of the calling source.' })
  disconnectSourceChannel(@Ctx() ctx: GraphCtx, @Arg('input', () => ChannelInput) input: ChannelInput) {
    return disconnectSourceChannel(ctx, { channelId: uuidOf('Channel', input.channelId, 'channelId') });
  }

  @Mutation(() => ChannelPayload, { description: 'Disconnects a channel and deletes its credentials.' })
  disconnectChannel(@Ctx() ctx: GraphCtx, @Arg('input', () => ChannelInput) input: ChannelInput) {
    return disconnectChannel(ctx, { channelId: uuidOf('Channel', input.channelId, 'channelId') });
  }

  @FieldResolver(() => SourceType, { description: 'The source it belongs to.' })
  source(@Ctx() ctx: GraphCtx, @Root() channel: Channel) {
    return ctx.loaders.source.load(channel.source);
  }

  @FieldResolver(() => String, { description: 'The name of the source.' })
  async sourceId(@Ctx() ctx: GraphCtx, @Root() channel: Channel) {
    return (await ctx.loaders.source.load(channel.source))?.sourceId;
  }
}

import { Arg, Args, Ctx, FieldResolver, ID, Mutation, Query, Resolver, Root } from 'type-graphql';
import { InvalidInput } from '../../../domain/errors.ts';
import {
  connectChannel,
  createSourceChannel,
  disconnectChannel,
  disconnectSourceChannel,
  exploreChannels,
  updateChannel,
} from '../../../domain/messaging/channels/channel.connect.service.ts';
import type { Channel } from '../../../domain/messaging/channels/channel.entity.ts';
import {
  channelCursor,
  findChannel,
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
  ConnectChannelInput,
  CreateSourceChannelInput,
  CreateSourceChannelPayload,
  ExploreChannelsArgs,
  ExploredChannel,
  UpdateChannelInput,
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

  @Query(() => ChannelType, { nullable: true, description: 'One channel; null for an unknown id.' })
  channel(@Ctx() ctx: GraphCtx, @Arg('id', () => ID, { description: 'Its id.' }) id: string) {
    return findChannel(ctx, uuidOf('Channel', id, 'id'));
  }

  @Query(() => [ExploredChannel], {
    description:
      'What could be connected with these credentials. Only vendors can be asked; others have nothing to tell.',
  })
  exploreChannels(@Ctx() ctx: GraphCtx, @Args(() => ExploreChannelsArgs) { sourceId }: ExploreChannelsArgs) {
    return exploreChannels(ctx, { sourceId: sourceNameOf(sourceId) });
  }

  @Mutation(() => ChannelPayload, {
    description: 'Connects a channel; `changed` is false when it was connected already. The same one keeps its id.',
  })
  connectChannel(
    @Ctx() ctx: GraphCtx,
    @Arg('input', () => ConnectChannelInput) { settings, sourceId, ...input }: ConnectChannelInput,
  ) {
    if (settings != null && !isJsonObject(settings)) throw new InvalidInput('settings', 'must be an object');
    return connectChannel(ctx, { ...input, sourceId: sourceNameOf(sourceId), settings });
  }

  @Mutation(() => ChannelPayload, { description: 'Renames a channel or changes its picture. NOT_FOUND.' })
  updateChannel(
    @Ctx() ctx: GraphCtx,
    @Arg('input', () => UpdateChannelInput) { channelId, ...changes }: UpdateChannelInput,
  ) {
    return updateChannel(ctx, { ...changes, channelId: uuidOf('Channel', channelId, 'channelId') });
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

import { Arg, Args, Ctx, FieldResolver, ID, Mutation, Query, Resolver, Root } from 'type-graphql';
import type { Flow } from '../../../domain/automation/flows/flow.entity.ts';
import {
  createFlow,
  deleteFlow,
  findFlow,
  flowCursor,
  flowDefinitionSchema,
  listFlows,
  publishFlow,
  unpublishFlow,
  updateFlow,
} from '../../../domain/automation/flows/flow.service.ts';
import { PageArgs, toConnection } from '../../connection.ts';
import type { GraphCtx } from '../../context.ts';
import { globalId, uuidOf } from '../../ids.ts';
import { JsonScalar } from '../../scalars.ts';
import { DeletePayload } from '../../stored.ts';
import {
  CreateFlowInput,
  FlowConnection,
  FlowInput,
  FlowPayload,
  FlowType,
  FlowVersionType,
  PublishFlowPayload,
  UpdateFlowInput,
} from './flow.type.ts';

const idOf = ({ flowId }: FlowInput) => uuidOf('Flow', flowId, 'flowId');

@Resolver(() => FlowType)
export class FlowResolver {
  @Query(() => FlowConnection, { description: 'All flows, the newest first.' })
  async flows(@Ctx() ctx: GraphCtx, @Args(() => PageArgs) args: PageArgs) {
    const page = await listFlows(ctx, args);
    return toConnection(page, flowCursor, { total: page.total });
  }

  @Query(() => FlowType, { nullable: true, description: 'One flow; null for an unknown id.' })
  flow(@Ctx() ctx: GraphCtx, @Arg('id', () => ID, { description: 'Its id.' }) id: string) {
    return findFlow(ctx, uuidOf('Flow', id, 'id'));
  }

  @Query(() => JsonScalar, { description: 'The JSON Schema of a definition, for editors.' })
  flowDefinitionSchema(@Ctx() ctx: GraphCtx) {
    return flowDefinitionSchema(ctx);
  }

  @Mutation(() => FlowPayload, {
    description: 'Makes a flow with a draft. BAD_USER_INPUT tells what is wrong with the definition, and where.',
  })
  async createFlow(@Ctx() ctx: GraphCtx, @Arg('input', () => CreateFlowInput) input: CreateFlowInput) {
    return { flow: await createFlow(ctx, input) };
  }

  @Mutation(() => FlowPayload, {
    description: 'Changes name or draft; journeys that run and new ones keep to what is published. NOT_FOUND.',
  })
  async updateFlow(@Ctx() ctx: GraphCtx, @Arg('input', () => UpdateFlowInput) input: UpdateFlowInput) {
    const { name, definition } = input;
    return { flow: await updateFlow(ctx, { flowId: idOf(input), name, definition }) };
  }

  @Mutation(() => PublishFlowPayload, {
    description: 'Makes the draft the version that new journeys take; those that run keep theirs. NOT_FOUND.',
  })
  publishFlow(@Ctx() ctx: GraphCtx, @Arg('input', () => FlowInput) input: FlowInput) {
    return publishFlow(ctx, { flowId: idOf(input) });
  }

  @Mutation(() => FlowPayload, { description: 'Ends new journeys; those that run go on. NOT_FOUND.' })
  async unpublishFlow(@Ctx() ctx: GraphCtx, @Arg('input', () => FlowInput) input: FlowInput) {
    return { flow: await unpublishFlow(ctx, { flowId: idOf(input) }) };
  }

  @Mutation(() => DeletePayload, {
    description: 'Deletes a flow that no journey ever took. NOT_FOUND, CONFLICT when it has journeys.',
  })
  async deleteFlow(@Ctx() ctx: GraphCtx, @Arg('input', () => FlowInput) input: FlowInput) {
    const flowId = idOf(input);
    await deleteFlow(ctx, { flowId });
    return { deletedId: globalId('Flow', flowId) };
  }

  @FieldResolver(() => FlowVersionType, {
    nullable: true,
    description: 'The version that new journeys take; null: none is published.',
  })
  published(@Ctx() ctx: GraphCtx, @Root() { id, publishedNumber }: Flow) {
    return publishedNumber === null ? null : ctx.loaders.publishedVersion.load(id);
  }

  @FieldResolver(() => [FlowVersionType], { description: 'Its versions, the newest first, at most 100.' })
  versions(@Ctx() ctx: GraphCtx, @Root() { id }: Flow) {
    return ctx.loaders.flowVersions.load(id);
  }
}

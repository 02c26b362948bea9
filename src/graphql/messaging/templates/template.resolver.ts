import { Arg, Ctx, ID, Mutation, Query, Resolver } from 'type-graphql';
import {
  createTemplate,
  deleteTemplate,
  findTemplate,
  listTemplates,
  updateTemplate,
} from '../../../domain/messaging/templates/message-template.service.ts';
import type { GraphCtx } from '../../context.ts';
import { globalId, sourceNameOf, uuidOf } from '../../ids.ts';
import { DeletePayload } from '../../stored.ts';
import {
  CreateTemplateInput,
  TemplateInput,
  TemplatePayload,
  TemplateType,
  UpdateTemplateInput,
} from './template.type.ts';

const idOf = ({ templateId }: TemplateInput) => uuidOf('MessageTemplate', templateId, 'templateId');

@Resolver()
export class TemplateResolver {
  @Query(() => [TemplateType], { description: 'The templates of a source, by name.' })
  templates(
    @Ctx() ctx: GraphCtx,
    @Arg('sourceId', () => String, { description: 'The name of the source.' }) sourceId: string,
    @Arg('name', () => String, { nullable: true, description: 'A part of the name, case-sensitive.' }) name?: string,
  ) {
    return listTemplates(ctx, { sourceId: sourceNameOf(sourceId), name });
  }

  @Query(() => TemplateType, { nullable: true, description: 'One template; null for an unknown id.' })
  template(@Ctx() ctx: GraphCtx, @Arg('id', () => ID, { description: 'Its id.' }) id: string) {
    return findTemplate(ctx, uuidOf('MessageTemplate', id, 'id'));
  }

  @Mutation(() => TemplatePayload, { description: 'Makes a template.' })
  async createTemplate(@Ctx() ctx: GraphCtx, @Arg('input', () => CreateTemplateInput) input: CreateTemplateInput) {
    return { template: await createTemplate(ctx, { ...input, sourceId: sourceNameOf(input.sourceId) }) };
  }

  @Mutation(() => TemplatePayload, { description: 'Changes a template. NOT_FOUND.' })
  async updateTemplate(@Ctx() ctx: GraphCtx, @Arg('input', () => UpdateTemplateInput) input: UpdateTemplateInput) {
    const { name, content, sourceId } = input;
    const changes = { name, content, sourceId: sourceId && sourceNameOf(sourceId) };
    return { template: await updateTemplate(ctx, { id: idOf(input), ...changes }) };
  }

  @Mutation(() => DeletePayload, { description: 'Deletes a template. NOT_FOUND.' })
  async deleteTemplate(@Ctx() ctx: GraphCtx, @Arg('input', () => TemplateInput) input: TemplateInput) {
    const id = idOf(input);
    await deleteTemplate(ctx, { id });
    return { deletedId: globalId('MessageTemplate', id) };
  }
}

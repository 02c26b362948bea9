import { Arg, Ctx, Mutation, Resolver } from 'type-graphql';
import { previewTemplate, runExpression } from '../../../domain/automation/expressions/expression.service.ts';
import { InvalidInput } from '../../../domain/errors.ts';
import type { GraphCtx } from '../../context.ts';
import { isJsonObject } from '../../json-object.ts';
import {
  PreviewTemplateInput,
  PreviewTemplatePayload,
  RunExpressionInput,
  RunExpressionPayload,
} from './expression.type.ts';

// Mutations though nothing is changed: those of a document run one after the other, and these cost more than a field.
@Resolver()
export class ExpressionResolver {
  @Mutation(() => RunExpressionPayload, {
    description: 'Evaluates an expression of flows, to try it. Changes nothing.',
  })
  runExpression(@Ctx() ctx: GraphCtx, @Arg('input', () => RunExpressionInput) input: RunExpressionInput) {
    return runExpression(ctx, { expression: input.expression, bindings: bindingsOf(input) });
  }

  @Mutation(() => PreviewTemplatePayload, { description: 'Renders a template of flows, to try it. Changes nothing.' })
  previewTemplate(@Ctx() ctx: GraphCtx, @Arg('input', () => PreviewTemplateInput) input: PreviewTemplateInput) {
    return previewTemplate(ctx, { template: input.template, place: input.place, bindings: bindingsOf(input) });
  }
}

function bindingsOf({ bindings }: { bindings?: unknown }): Record<string, unknown> {
  if (bindings == null) return {};
  if (!isJsonObject(bindings)) throw new InvalidInput('bindings', 'must be an object');
  return bindings;
}

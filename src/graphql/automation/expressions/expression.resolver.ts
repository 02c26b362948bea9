import { Arg, Ctx, Mutation, Resolver } from 'type-graphql';
import { previewTemplate, runExpression } from '../../../domain/automation/expressions/expression.service.ts';
import type { GraphCtx } from '../../context.ts';
import {
  PreviewTemplateInput,
  PreviewTemplatePayload,
  RunExpressionInput,
  RunExpressionPayload,
} from './expression.type.ts';

// They change nothing; as mutations they run one after the other.
@Resolver()
export class ExpressionResolver {
  @Mutation(() => RunExpressionPayload, { description: 'Tries an expression: its value, or its fault and where.' })
  runExpression(@Ctx() ctx: GraphCtx, @Arg('input', () => RunExpressionInput) input: RunExpressionInput) {
    return runExpression(ctx, input);
  }

  @Mutation(() => PreviewTemplatePayload, {
    description: 'Tries a template: what it gives, or its fault and where, and the variables that were not given.',
  })
  previewTemplate(@Ctx() ctx: GraphCtx, @Arg('input', () => PreviewTemplateInput) input: PreviewTemplateInput) {
    return previewTemplate(ctx, input);
  }
}

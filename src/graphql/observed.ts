import { type ExecutionResult, Kind, type OperationDefinitionNode } from 'graphql';
import type { Core } from '../domain/context.ts';
import { inSpan, markFailed, type Span } from '../domain/tracing.ts';
import type { Run } from './documents.ts';
import { toDomainError } from './errors.ts';

/** Tells the meter how long an operation took, and puts it into a span. */
export function observed(core: Core, operation: OperationDefinitionNode, run: Run): Run {
  const name = nameOf(operation);
  const spanName = `${operation.operation} ${name}`;
  const options = { attributes: { 'graphql.operation.type': operation.operation, 'graphql.operation.name': name } };
  return (root, ctx, variables) => {
    const startedAt = performance.now();
    const tell = () => core.meter.ranOperation(name, performance.now() - startedAt);
    const result = inSpan(spanName, options, (span) => {
      const running = run(root, ctx, variables);
      return span.isRecording() ? marked(span, running) : running;
    });
    if (result instanceof Promise) result.then(tell, tell);
    else tell();
    return result;
  };
}

async function marked(span: Span, running: ReturnType<Run>): Promise<ExecutionResult> {
  const result = await running;
  if (result.errors?.length) markFailed(span, toDomainError(result.errors[0]).code);
  return result;
}

// Of the schema and so of a bounded number; what clients call their operations is theirs.
function nameOf({ selectionSet }: OperationDefinitionNode): string {
  const [first, ...others] = selectionSet.selections;
  return first?.kind === Kind.FIELD && others.length === 0 ? first.name.value : 'other';
}

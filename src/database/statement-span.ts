import { inInnerSpan, SpanKind } from '../domain/tracing.ts';

const longestText = 2_000;

/** Runs a statement in a span of its own where a span is open: not for what the process looks up by itself. */
export function inStatementSpan<T>(text: string, work: () => T): T {
  return inInnerSpan(
    /^\s*(\w+)/.exec(text)?.[1]?.toLowerCase() ?? 'sql',
    () => ({
      kind: SpanKind.CLIENT,
      attributes: { 'db.system.name': 'postgresql', 'db.query.text': withoutValues(text) },
    }),
    work,
  );
}

/** The statement with `?` for each text in it: the ORM writes some of its values so. */
export function withoutValues(text: string): string {
  return text
    .replaceAll(/'(?:[^']|'')*'/g, '?')
    .replaceAll(/\s+/g, ' ')
    .slice(0, longestText);
}

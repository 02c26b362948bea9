import {
  type Context,
  context,
  ROOT_CONTEXT,
  type Span,
  type SpanOptions,
  SpanStatusCode,
  trace,
} from '@opentelemetry/api';

export { SpanKind } from '@opentelemetry/api';

/** Where work belongs that others will do later. */
export type TracePlace = Context;

export type { Span } from '@opentelemetry/api';

/** Its spans record nothing unless the process was told where to send them (server/tracing.ts). */
const tracer = trace.getTracer('parley');

/**
 * Does `work` in a span below the one that is open. Name and attributes are ours: root fields, kinds, hosts, statements
 * without values; never a token, a path or what a message says.
 */
export function inSpan<T>(name: string, options: SpanOptions, work: (span: Span) => T): T {
  return tracer.startActiveSpan(name, options, (span) => ended(span, work));
}

/** The same where a span is open already; else the work stands alone, without a trace of its own. */
export function inInnerSpan<T>(name: string, options: () => SpanOptions, work: () => T): T {
  return trace.getActiveSpan()?.isRecording() ? inSpan(name, options(), work) : work();
}

export function tracePlace(): TracePlace {
  return context.active();
}

/** Does in one go what several asked for: below the first one's span, linked with those of the others. */
export function inSharedSpan<T>(name: string, places: readonly TracePlace[], work: () => T): T {
  const [first = ROOT_CONTEXT, ...others] = places;
  const links = others.flatMap((place) => {
    const spanContext = trace.getSpanContext(place);
    return spanContext ? { context: spanContext } : [];
  });
  return tracer.startActiveSpan(name, { links }, first, (span) => ended(span, work));
}

function ended<T>(span: Span, work: (span: Span) => T): T {
  const result = work(span);
  // What throws at once leaves no span: there is nothing that it measured.
  if (span.isRecording()) {
    Promise.resolve(result).then(
      () => span.end(),
      (error) => fail(span, error),
    );
  }
  return result;
}

/** Marks the span of what went wrong. `type`: a code, never the message, which may repeat a value. */
export function markFailed(span: Span, type: string): void {
  span.setAttribute('error.type', type);
  span.setStatus({ code: SpanStatusCode.ERROR });
}

function fail(span: Span, error: unknown): void {
  const { code, kind, name } = (error ?? {}) as { code?: unknown; kind?: unknown; name?: unknown };
  markFailed(span, String(code ?? kind ?? name));
  span.end();
}

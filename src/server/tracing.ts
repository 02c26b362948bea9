import { setTimeout as sleep } from 'node:timers/promises';
import {
  context,
  DiagLogLevel,
  diag,
  propagation,
  ROOT_CONTEXT,
  SpanKind,
  SpanStatusCode,
  trace,
} from '@opentelemetry/api';
import type { FastifyInstance } from 'fastify';
import type { Logger } from 'pino';

/** The one that package.json names: it is no dependency of the running program, as it would double its size. */
const sdk = '@opentelemetry/sdk-node';
const sdkVersion = '0.301.0';
const stopMs = 2_000;
/** While a collector is away. */
const warnEachMs = 60_000;

/**
 * Sends spans to OTEL_EXPORTER_OTLP_ENDPOINT from now on; the other settings of OpenTelemetry are read from the
 * environment by its SDK.
 *
 * @returns ends it, with what has not been sent yet
 * @throws Error naming the command that installs the SDK, where it is missing
 */
export async function startTracing(log: Logger): Promise<() => Promise<void>> {
  warnOfLostSpans(log);
  // The arguments of the process are no business of those who read traces.
  process.env.OTEL_NODE_RESOURCE_DETECTORS ??= 'env,host,serviceinstance';
  const { NodeSDK } = await loadSdk();
  const started = new NodeSDK({
    serviceName: process.env.OTEL_SERVICE_NAME ?? 'parley',
    metricReaders: [],
    logRecordProcessors: [],
  });
  started.start();
  return async () => {
    // A collector that hangs must not hold the stop.
    await Promise.race([started.shutdown().catch(() => undefined), sleep(stopMs, undefined, { ref: false })]);
    for (const part of [trace, context, propagation, diag]) part.disable();
  };
}

/** The SDK tells only its own log that a collector does not take what it sends. */
function warnOfLostSpans(log: Logger): void {
  let toldAt = Number.NEGATIVE_INFINITY;
  const silent = () => undefined;
  const error = (reason: string) => {
    if (performance.now() - toldAt < warnEachMs) return;
    toldAt = performance.now();
    log.warn({ reason: reason.slice(0, 300) }, 'traces cannot be sent, they are lost');
  };
  diag.setLogger({ error, warn: silent, info: silent, debug: silent, verbose: silent }, DiagLogLevel.ERROR);
}

async function loadSdk(): Promise<typeof import('@opentelemetry/sdk-node')> {
  try {
    return await import('@opentelemetry/sdk-node');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ERR_MODULE_NOT_FOUND') throw error;
    throw new Error(
      `OTEL_EXPORTER_OTLP_ENDPOINT needs a package that is not here: npm install --no-save --save-prod ${sdk}@${sdkVersion}`,
    );
  }
}

/** A span for each request, below the one that a `traceparent` header names. */
export function traceRequests(app: FastifyInstance): void {
  const tracer = trace.getTracer('parley');
  app.addHook('onRequest', (request, reply, done) => {
    const route = request.is404 ? 'none' : request.routeOptions.url;
    const caller = propagation.extract(ROOT_CONTEXT, request.headers);
    const span = tracer.startSpan(
      `${request.method} ${route}`,
      { kind: SpanKind.SERVER, attributes: { 'http.request.method': request.method, 'http.route': route } },
      caller,
    );
    reply.raw.once('close', () => {
      span.setAttribute('http.response.status_code', reply.statusCode);
      if (reply.statusCode >= 500) span.setStatus({ code: SpanStatusCode.ERROR });
      span.end();
    });
    context.with(trace.setSpan(caller, span), done);
  });
}

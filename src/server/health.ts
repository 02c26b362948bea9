import type { FastifyInstance } from 'fastify';
import { may } from '../domain/access.ts';
import type { DatabaseStatus } from '../domain/context.ts';
import type { Core } from '../graphql/execute.ts';
import { principalOf } from './caller.ts';
import type { Vitals } from './vitals.ts';

/** How long one look at the database answers for everybody: probes must not become load. */
const keptMs = 500;
/** Longer than this is "not ready". */
const patienceMs = 1_500;

export interface HealthParts {
  core: Core;
  status: DatabaseStatus;
  vitals: Vitals;
  isDraining(): boolean;
}

/** `/health/live`: the process runs. `/health/ready`: it may be sent requests; administrators see more. */
export function healthRoutes(app: FastifyInstance, { core, status, vitals, isDraining }: HealthParts): void {
  let looked: { at: number; ready: Promise<boolean> } | undefined;
  const isReady = () => {
    if (!looked || performance.now() - looked.at > keptMs)
      looked = { at: performance.now(), ready: inTime(status.isReady()) };
    return looked.ready;
  };
  app.get('/health/live', async () => ({ status: 'live' }));
  app.get('/health/ready', async ({ raw }, reply) => {
    if (isDraining()) return reply.code(503).header('retry-after', '5').send({ status: 'draining' });
    if (!(await isReady())) return reply.code(503).header('retry-after', '2').send({ status: 'not ready' });
    // A token that does not hold is none: a probe must not fail by it.
    const principal = await principalOf(core, raw).catch(() => ({ kind: 'anonymous' }) as const);
    return { status: 'ready', ...(may({ principal }, '/health/ready detail') && { detail: await detailOf(vitals) }) };
  });
}

async function detailOf(vitals: Vitals) {
  const { inUse, open, waiting, most, longestWaitMs } = vitals.connections();
  return {
    pool: { inUse, open, waiting, most, longestWaitMs: Math.round(longestWaitMs) },
    eventLoop: { longestLagMs: vitals.longestLagMs() },
    backlog: (await vitals.backlog()) ?? null,
  };
}

function inTime(ready: Promise<boolean>): Promise<boolean> {
  return new Promise((resolve) => {
    const timer = setTimeout(() => resolve(false), patienceMs);
    ready.then(resolve, () => resolve(false)).finally(() => clearTimeout(timer));
  });
}

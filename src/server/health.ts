import type { FastifyInstance } from 'fastify';
import type { DatabaseStatus } from '../domain/context.ts';

/** How long one look at the database answers for everybody: probes must not become load. */
const keptMs = 500;
/** Longer than this is "not ready". */
const patienceMs = 1_500;

/** `/health/live`: the process runs. `/health/ready`: it may be sent requests. */
export function healthRoutes(
  app: FastifyInstance,
  { status, isDraining }: { status: DatabaseStatus; isDraining(): boolean },
): void {
  let looked: { at: number; ready: Promise<boolean> } | undefined;
  const isReady = () => {
    if (!looked || performance.now() - looked.at > keptMs)
      looked = { at: performance.now(), ready: inTime(status.isReady()) };
    return looked.ready;
  };
  app.get('/health/live', async () => ({ status: 'live' }));
  app.get('/health/ready', async (_request, reply) => {
    if (isDraining()) return reply.code(503).header('retry-after', '5').send({ status: 'draining' });
    if (await isReady()) return { status: 'ready' };
    return reply.code(503).header('retry-after', '2').send({ status: 'not ready' });
  });
}

function inTime(ready: Promise<boolean>): Promise<boolean> {
  return new Promise((resolve) => {
    const timer = setTimeout(() => resolve(false), patienceMs);
    ready.then(resolve, () => resolve(false)).finally(() => clearTimeout(timer));
  });
}

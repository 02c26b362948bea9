import type { FastifyInstance } from 'fastify';
import { allow } from '../domain/access.ts';
import { type Core, toDomainError } from '../graphql/execute.ts';
import { principalOf } from './caller.ts';
import { isFromThisMachine } from './local-caller.ts';
import type { Figures } from './metrics.ts';

/** `/metrics`: for whoever asks on this machine itself, and for administrators from anywhere. */
export function metricsRoute(app: FastifyInstance, { core, read }: { core: Core; read: () => Promise<Figures> }): void {
  app.get('/metrics', async ({ raw }, reply) => {
    if (!isFromThisMachine(raw, core.settings)) {
      try {
        allow({ principal: await principalOf(core, raw) }, '/metrics');
      } catch (error) {
        const { code, message } = toDomainError(error);
        const status = statuses[code] ?? 500;
        if (status === 503) reply.header('retry-after', '2');
        return reply.code(status).send({ message });
      }
    }
    const { contentType, text } = await read();
    return reply.header('content-type', contentType).send(text);
  });
}

const statuses: Record<string, number> = { UNAUTHENTICATED: 401, FORBIDDEN: 403, UNAVAILABLE: 503 };

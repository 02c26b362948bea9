import { existsSync } from 'node:fs';
import helmet from '@fastify/helmet';
import files from '@fastify/static';
import type { FastifyInstance, FastifyReply } from 'fastify';

const year = 365 * 86_400;

/** The built pages under `webDir`: the GraphQL IDE and its assets, whose names change with their content. */
export async function pageRoutes(
  app: FastifyInstance,
  { webDir, isProduction }: { webDir: string; isProduction: boolean },
): Promise<void> {
  const isBuilt = existsSync(webDir);
  if (isBuilt) await app.register(files, { root: webDir, serve: false, cacheControl: false });
  await app.register(async (pages) => {
    await pages.register(helmet, {
      contentSecurityPolicy: {
        useDefaults: false,
        directives: {
          'default-src': ["'self'"],
          'worker-src': ["'self'", 'blob:'],
          'style-src': ["'self'", "'unsafe-inline'"],
          'img-src': ["'self'", 'data:'],
          'font-src': ["'self'", 'data:'],
          'object-src': ["'none'"],
          'base-uri': ["'none'"],
          'frame-ancestors': ["'none'"],
          'form-action': ["'self'"],
        },
      },
      hsts: isProduction,
    });
    const sendPage = (reply: FastifyReply, file: string, cacheControl: string) => {
      if (!isBuilt || !existsSync(`${webDir}/${file}`)) {
        return reply.code(404).send({ message: 'this page is not here; the pages are built by: npm run build' });
      }
      return reply.header('cache-control', cacheControl).sendFile(file);
    };
    pages.get('/', async (_request, reply) => reply.redirect('/graphiql', 302));
    pages.get('/graphiql', async (_request, reply) => sendPage(reply, 'graphiql/index.html', 'no-cache'));
    pages.get<{ Params: { '*': string } }>('/assets/*', async (request, reply) =>
      sendPage(reply, `assets/${request.params['*']}`, `public, max-age=${year}, immutable`),
    );
  });
}

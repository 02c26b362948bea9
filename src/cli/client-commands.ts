import { type Command, Option } from 'commander';
import { z } from 'zod';
import { CliFailure } from './failure.ts';
import { GatewayClient } from './gateway-client.ts';
import {
  type ClientFlags,
  collected,
  dataDir,
  examples,
  instant,
  isProduction,
  sourceId,
  tokenOption,
  urlOption,
  wholeNumber,
} from './options.ts';
import { printLine, stopOnSignals } from './terminal.ts';

interface SourceFlags extends ClientFlags {
  name?: string;
  actionEndpoint?: string;
  imageUrl?: string;
}
interface KeyFlags extends ClientFlags {
  kind: string;
  name: string;
  role?: string;
  address: string[];
  expires?: string;
}
interface ImportFlags extends ClientFlags {
  source: string;
  rotate: boolean;
  concurrency: number;
}
interface DemoFlags extends ClientFlags {
  live: boolean;
  rotate: boolean;
}
interface TailFlags extends ClientFlags {
  after?: string;
  json: boolean;
}
interface CompatReportFlags extends ClientFlags {
  days: number;
  json: boolean;
}
interface ListenFlags extends ClientFlags {
  port: number;
  host: string;
  status: number;
  sourceToken?: string;
  secret: string[];
  rotate: boolean;
}

/** The commands that are clients of a running gateway. */
export function addClientCommands(program: Command): void {
  program
    .command('source')
    .description('Works with sources, the bridges to messaging platforms.')
    .command('create')
    .description('Makes a source and prints its token and signing secret, which are shown only this once.')
    .argument('<source_id>', 'its name for good, for example my-crm-connector', sourceId)
    .option('--name <name>', 'name that people see')
    .option('--action-endpoint <url>', 'address that is called when somebody answers')
    .option('--image-url <url>', 'picture of the source')
    .addOption(tokenOption())
    .addOption(urlOption())
    .addHelpText(
      'after',
      examples('source create my-crm-connector --name "Our CRM" --action-endpoint https://crm.example.com/parley'),
    )
    .action(createSource);

  program
    .command('key')
    .description('Works with API keys, the tokens of other programs.')
    .command('create')
    .description('Makes an API key and prints it, which is shown only this once.')
    .addOption(
      new Option(
        '--kind <kind>',
        'secret for back ends, public for apps and pages, endpoint for callers of App endpoints',
      )
        .choices(['secret', 'public', 'endpoint'])
        .makeOptionMandatory(),
    )
    .requiredOption('--name <name>', 'what to call it')
    .addOption(
      new Option('--role <role>', 'what a secret key may do; editor by default').choices([
        'support',
        'editor',
        'admin',
      ]),
    )
    .option('--address <address>', 'take it only from this address or CIDR; may be repeated', collected, [])
    .addOption(
      new Option('--expires <instant>', 'when it ends, ISO 8601 with a zone; never by default').argParser(instant),
    )
    .addOption(tokenOption())
    .addOption(urlOption())
    .addHelpText(
      'after',
      examples(
        'key create --kind secret --name "Our shop"',
        'key create --kind endpoint --name "The bank" --address 203.0.113.0/24 --expires 2030-01-01T00:00:00Z',
      ),
    )
    .action(createKey);

  program
    .command('import')
    .description('Sends a file of webhook bodies as a source. An interrupted import goes on where it was.')
    .argument('<file>', '.jsonl or .jsonl.gz, each line the body of one sources.webhook; - is standard input')
    .addOption(
      new Option('--source <source_id>', 'source to write as; made when it is missing')
        .default('imported')
        .argParser(sourceId),
    )
    .option('--rotate', 'make a new token for a source whose token is not kept here; the old one ends', false)
    .addOption(new Option('--concurrency <count>', 'calls under way at once').default(4).argParser(wholeNumber(1, 64)))
    .addOption(tokenOption())
    .addOption(urlOption())
    .addHelpText(
      'after',
      [
        '',
        'Channels that the file names are made on the way. The token of the source and the position in the file are kept',
        'in DATA_DIR/import/<source>.json; the same file sent again adds nothing. Of standard input no position is kept.',
        examples(
          'import history.jsonl.gz',
          'import history.jsonl --source old-crm --concurrency 8',
          'import history.jsonl --rotate',
        ),
      ].join('\n'),
    )
    .action(importCommand);

  program
    .command('demo')
    .description('Fills a gateway with two weeks of conversations of invented people. A second run adds nothing.')
    .option('--live', 'go on writing until Ctrl-C, and answer what is sent to the people', false)
    .option('--rotate', 'make a new token for the source demo when it is not kept here', false)
    .addOption(tokenOption())
    .addOption(urlOption())
    .addHelpText('after', examples('demo', 'demo --live'))
    .action(demoCommand);

  program
    .command('events')
    .description('Works with the stream of events.')
    .command('tail')
    .description('Prints what happens in the inbox, one line per event, until Ctrl-C. Goes on after a lost connection.')
    .option('--after <cursor>', 'begin behind this event, as printed by --json')
    .option('--json', 'one JSON object per line', false)
    .addOption(tokenOption('a user'))
    .addOption(urlOption())
    .addHelpText('after', examples('events tail', 'events tail --json --after eyJl...'))
    .action(tailCommand);

  program
    .command('compat-report')
    .description('Says which calls of the older REST contracts are still made, how often, when last and by whom.')
    .addOption(new Option('--days <count>', 'of the last so many days').default(30).argParser(wholeNumber(1, 366)))
    .option('--json', 'one JSON object per line', false)
    .addOption(tokenOption())
    .addOption(urlOption())
    .addHelpText('after', examples('compat-report', 'compat-report --days 7 --json'))
    .action(compatReportCommand);

  program
    .command('listen')
    .description('Takes the action calls of a source, verifies and prints them, and answers, until Ctrl-C.')
    .argument('<source_id>', 'a source that exists', sourceId)
    .addOption(
      new Option('--port <port>', 'port to listen on; 0 takes a free one').default(0).argParser(wholeNumber(0, 65_535)),
    )
    .option('--host <host>', 'address to listen on, as the gateway reaches it', '127.0.0.1')
    .addOption(
      new Option('--status <status>', 'answer verified calls with this').default(200).argParser(wholeNumber(200, 599)),
    )
    .option('--source-token <token>', 'verify with this token of the source instead of the one kept in DATA_DIR/import')
    .option(
      '--secret <whsec>',
      'verify the webhook-signature header too, with this signing secret; may be repeated',
      collected,
      [],
    )
    .option('--rotate', 'make a new token for the source; the old one ends', false)
    .addOption(tokenOption())
    .addOption(urlOption())
    .addHelpText(
      'after',
      [
        '',
        'Outside production the gateway is asked to let its calls pass to this address. Where it refuses, start it with the',
        'OUTBOUND_ALLOW that is printed; a worker of its own (ROLE=worker) always needs it. The former action endpoint comes',
        'back at the end.',
        examples('listen my-crm-connector --rotate', 'listen my-crm-connector --status 503 --port 4300'),
      ].join('\n'),
    )
    .action(listenCommand);
}

async function createSource(id: string, flags: SourceFlags): Promise<void> {
  const secrets = z.object({ token: z.string(), signing_secret: z.string().optional() });
  const body = { source_id: id, name: flags.name, action_endpoint: flags.actionEndpoint, image_url: flags.imageUrl };
  const source = await new GatewayClient(flags).rest('sources.create', body, secrets);
  printLine(process.stdout, `Made the source "${id}". These are shown only now:`);
  printLine(process.stdout, `token           ${source.token}`);
  if (source.signing_secret) printLine(process.stdout, `signing secret  ${source.signing_secret}`);
}

async function createKey({ kind, name, role, address, expires, ...client }: KeyFlags): Promise<void> {
  const shape = z.object({ createApiKey: z.object({ key: z.string(), apiKey: z.object({ id: z.string() }) }) });
  const input = {
    kind: kind.toUpperCase(),
    name,
    role: role?.toUpperCase(),
    allowedCidrs: address,
    expiresAt: expires,
  };
  const { createApiKey } = await new GatewayClient(client).graphql(
    'mutation ($input: CreateApiKeyInput!) { createApiKey(input: $input) { key apiKey { id } } }',
    { input },
    shape,
  );
  printLine(process.stdout, `Made the ${kind} key "${name}". It is shown only now:`);
  printLine(process.stdout, `key  ${createApiKey.key}`);
  printLine(process.stdout, `id   ${createApiKey.apiKey.id}`);
}

async function importCommand(file: string, flags: ImportFlags): Promise<void> {
  const { importFile } = await import('./import.ts');
  const { isInterrupted } = await withSignal((signal) =>
    importFile({ ...flags, file, dataDir: dataDir(), out: process.stdout, signal }),
  );
  if (isInterrupted) process.exitCode = 1;
}

async function demoCommand(flags: DemoFlags): Promise<void> {
  const { writeDemo } = await import('./demo.ts');
  const options = { ...flags, isProduction: isProduction(), dataDir: dataDir(), out: process.stdout };
  await withSignal((signal) => writeDemo({ ...options, signal }));
}

async function tailCommand(flags: TailFlags): Promise<void> {
  const { tailEvents } = await import('./events-tail.ts');
  await withSignal((signal) => tailEvents({ ...flags, out: process.stdout, notices: process.stderr, signal }));
}

async function compatReportCommand(flags: CompatReportFlags): Promise<void> {
  const { reportLegacyCalls } = await import('./compat-report.ts');
  await reportLegacyCalls({ ...flags, out: process.stdout });
}

async function listenCommand(id: string, { secret, ...flags }: ListenFlags): Promise<void> {
  const { listenForActions } = await import('./listen.ts');
  const bad = secret.find((one) => !/^whsec_[A-Za-z0-9+/]+=*$/.test(one));
  if (bad !== undefined) throw new CliFailure('--secret must be a signing secret, whsec_ and base64.', 2);
  const options = { ...flags, sourceId: id, signingSecrets: secret, dataDir: dataDir(), out: process.stdout };
  await withSignal((signal) => listenForActions({ ...options, signal }));
}

async function withSignal<T>(work: (signal: AbortSignal) => Promise<T>): Promise<T> {
  const { signal, release } = stopOnSignals();
  try {
    return await work(signal);
  } finally {
    release();
  }
}

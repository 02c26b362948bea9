import { type Command, Option } from 'commander';
import { CliFailure } from './failure.ts';
import { examples } from './options.ts';
import { askSecret, printLine } from './terminal.ts';

interface UserFlags {
  email: string;
  firstName: string;
  lastName: string;
  role: 'ADMIN' | 'AGENT';
  password?: string;
}

/** The commands that open the database themselves; main is loaded only for them, since it brings the whole server. */
export function addOperatorCommands(program: Command): void {
  program
    .command('serve')
    .description('Starts the gateway and serves until it is told to stop.')
    .addHelpText('after', examples('serve'))
    .action(async () => {
      const { serve } = await import('../main.ts');
      await serve();
    });

  const migrate = program.command('migrate').description("Brings the database's schema up, or tells where it stands.");
  migrate
    .command('up')
    .description('Applies every migration that is missing.')
    .addHelpText('after', examples('migrate up'))
    .action(() => printMigrations('up'));
  migrate
    .command('status')
    .description('Lists the migrations and whether each is applied.')
    .addHelpText('after', examples('migrate status'))
    .action(() => printMigrations('status'));

  program
    .command('doctor')
    .description(
      'Counts what is kept as totals and places of lists, and says what is wrong. Ends with 1 where something is.',
    )
    .option('--repair', 'mends it; those who write wait meanwhile, or are told to come again', false)
    .addHelpText('after', examples('doctor', 'doctor --repair'))
    .action(runDoctor);

  program
    .command('user')
    .description('Works with the people who may sign in.')
    .command('create')
    .description('Makes an account. The password is asked for when it is not given.')
    .requiredOption('--email <address>', 'e-mail address to sign in with')
    .requiredOption('--first-name <name>', 'first name')
    .requiredOption('--last-name <name>', 'last name')
    .addOption(new Option('--role <role>', 'what the account may do').choices(['ADMIN', 'AGENT']).default('AGENT'))
    .addOption(
      new Option('--password <password>', 'better not: others can see it while the command runs').env(
        'PARLEY_PASSWORD',
      ),
    )
    .addHelpText(
      'after',
      examples('user create --email ada@example.com --first-name Ada --last-name Lovelace --role ADMIN'),
    )
    .action(createAccount);
}

async function printMigrations(action: 'up' | 'status'): Promise<void> {
  const { migrate } = await import('../main.ts');
  for (const line of await migrate(action)) printLine(process.stdout, line);
}

async function runDoctor({ repair }: { repair: boolean }): Promise<void> {
  const { doctor } = await import('../main.ts');
  const advice = await doctor({ repair, say: (line) => printLine(process.stdout, line) });
  if (advice !== undefined) throw new CliFailure(advice);
}

async function createAccount({ email, firstName, lastName, role, password }: UserFlags): Promise<void> {
  const given = password ?? (await askTwice());
  const { createUser } = await import('../main.ts');
  const { id } = await createUser({ email, firstName, lastName, role, password: given });
  printLine(process.stdout, `Made the ${role} ${email}, id ${id}.`);
}

async function askTwice(): Promise<string> {
  const instead = 'set PARLEY_PASSWORD or give --password';
  const first = await askSecret('Password: ', instead);
  if ((await askSecret('The same again: ', instead)) === first) return first;
  throw new CliFailure('The two passwords differ; nothing was made.');
}

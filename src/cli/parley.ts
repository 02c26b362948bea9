import { Command, CommanderError } from 'commander';
import { parleyVersion } from '../config.ts';
import { addClientCommands } from './client-commands.ts';
import { CliFailure, sentenceOf } from './failure.ts';
import { addOperatorCommands } from './operator-commands.ts';
import { Stopped } from './retry.ts';

/**
 * The `parley` command. Sets `process.exitCode`: 0 it worked, 1 it did not, 2 the command line was not understood.
 *
 * @param argv what stands behind the program's name
 */
export async function run(argv: string[]): Promise<void> {
  // Whoever reads has seen enough: `parley events tail | head -1`.
  process.stdout.once('error', (error: NodeJS.ErrnoException) => {
    if (error.code !== 'EPIPE') throw error;
    process.exit(0);
  });
  try {
    await buildProgram().parseAsync(argv, { from: 'user' });
  } catch (error) {
    process.exitCode = exitCodeOf(error);
    // Commander has printed its own faults, and help is none.
    if (error instanceof CommanderError) return;
    process.stderr.write(`${error instanceof Stopped ? 'Stopped.' : sentenceOf(error)}\n`);
  }
}

function exitCodeOf(error: unknown): number {
  if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : 2;
  return error instanceof CliFailure ? error.exitCode : 1;
}

function buildProgram(): Command {
  const program = new Command('parley')
    .description('Runs a Parley gateway and works with one.')
    .version(parleyVersion(), '-V, --version', 'prints the version')
    .helpOption('-h, --help', 'prints this')
    .helpCommand('help [command]', 'prints the help of a command')
    .showHelpAfterError('(add --help for the options and examples)')
    .exitOverride()
    .addHelpText(
      'after',
      [
        '',
        'serve, migrate, doctor and user open the database themselves, by the settings of the environment (.env.example).',
        'The others are clients of a running gateway: they take its address from --url or PARLEY_URL and the token of a',
        'user from --token or PARLEY_TOKEN. A token is what users.login answers.',
        '',
        'Exit codes: 0 it worked, 1 it did not, 2 the command line was not understood.',
      ].join('\n'),
    );
  addOperatorCommands(program);
  addClientCommands(program);
  return program;
}

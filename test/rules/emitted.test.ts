import { expect, it } from '@jest/globals';

it('schema.graphql, .env.example and the tables of README.md and docs/rest.md say what the code says', async () => {
  const { argv, exitCode } = process;
  process.argv = [...argv.slice(0, 2), '--check'];
  try {
    await import('../../src/emit.ts');
    expect(process.exitCode).toBe(exitCode);
  } finally {
    process.argv = argv;
    process.exitCode = exitCode;
  }
});

import { randomBytes } from 'node:crypto';
import { createDatabase, dropDatabase } from './test-server.js';

export interface TestDatabase {
  url: string;
  drop(): Promise<void>;
}

/** A database of its own for a test file: migrated, empty, gone after `drop`. */
export async function createTestDatabase(): Promise<TestDatabase> {
  return create(template());
}

/** The same without any table, for tests of the migrations themselves. */
export async function createEmptyDatabase(): Promise<TestDatabase> {
  return create();
}

async function create(from?: string): Promise<TestDatabase> {
  const name = `${template()}_${randomBytes(5).toString('hex')}`;
  return { url: await createDatabase(name, from), drop: () => dropDatabase(name) };
}

function template(): string {
  const name = process.env.PARLEY_TEST_TEMPLATE;
  if (!name) throw new Error('run the tests by npm test: the global setup starts the database');
  return name;
}

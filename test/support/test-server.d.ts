import type { Client } from 'pg';

export function databaseUrl(name: string): string;
export function onServer<T>(work: (client: Client) => Promise<T>): Promise<T>;
export function createDatabase(name: string, template?: string): Promise<string>;
export function dropDatabase(name: string): Promise<void>;
export function dropDatabases(template: string): Promise<void>;

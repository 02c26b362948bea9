import { existsSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from '@jest/globals';

const read = (path: string) => readFileSync(fileURLToPath(new URL(`../../${path}`, import.meta.url)), 'utf8');
const isThere = (path: string) => existsSync(fileURLToPath(new URL(`../../${path}`, import.meta.url)));

/** The lines of the tables that name a test; heads and rules of tables are left out. */
const lines = read('docs/airy-checklist.md')
  .split('\n')
  .filter((line) => line.startsWith('|') && !/^\| (Item|---) \|/.test(line));
const row = /^\| (?<item>.+?) \| `(?<file>[^`|]+\.test\.ts)` \| (?<title>[^|]+?) \|$/;

describe('docs/airy-checklist.md', () => {
  it('has an item, a file and a title in each line', () => {
    expect(lines.length).toBeGreaterThan(100);
    expect(lines.filter((line) => !row.test(line))).toEqual([]);
  });

  it('names files and titles of tests that are there', () => {
    const missing = lines.filter((line) => {
      const { file, title } = row.exec(line)?.groups ?? {};
      if (!file || !title || !isThere(`test/${file}`)) return true;
      const text = read(`test/${file}`);
      return !["'", '"', '`'].some((quote) => text.includes(`${quote}${title}${quote}`));
    });
    expect(missing).toEqual([]);
  });
});

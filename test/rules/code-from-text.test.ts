import { globSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from '@jest/globals';

const src = fileURLToPath(new URL('../../src', import.meta.url));

/** Every way to make code of a text at run time; what users write is run by libraries that interpret it. */
const ways = [
  /(?<![\w$.])eval\s*\(/,
  /\beval\s*\?\.\s*\(|\(\s*0\s*,\s*eval\s*\)|\b(globalThis|window|self)\s*(\.\s*eval|\[\s*['"`]eval)/,
  /\bnew\s+(Async|Generator|AsyncGenerator)?Function\b/,
  /(?<![\w$.])Function\s*\(/,
  /['"`](node:)?vm['"`]/,
  /\bset(Timeout|Interval|Immediate)\s*\(\s*['"`]/,
  /\beval:\s*true\b/,
];

const makesCode = (text: string) => ways.some((way) => way.test(text));

describe('code made of texts', () => {
  it('is nowhere in the sources', () => {
    const files = globSync('**/*.{ts,tsx}', { cwd: src });
    expect(files.length).toBeGreaterThan(100);
    expect(files.filter((file) => makesCode(readFileSync(`${src}/${file}`, 'utf8')))).toEqual([]);
  });

  it.each([
    'eval("1")',
    'const x = eval (text);',
    '(0, eval)(text)',
    'globalThis.eval(text)',
    'new Function("return 1")',
    'const f = Function(text);',
    'new AsyncFunction(text)',
    `import vm from 'node:vm';`,
    `await import('vm')`,
    'setTimeout("run()", 1)',
    'new Worker(text, { eval: true })',
  ])('would be found: %s', (text) => {
    expect(makesCode(text)).toBe(true);
  });

  it.each([
    'retrieval(1)',
    '$.eval',
    'registerFunction("x")',
    'isFunction(x)',
    '// never eval',
    'setTimeout(() => run())',
  ])('is not taken for that: %s', (text) => {
    expect(makesCode(text)).toBe(false);
  });
});

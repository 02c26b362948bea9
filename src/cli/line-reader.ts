import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { type FileHandle, open } from 'node:fs/promises';
import { basename } from 'node:path';
import { pipeline, Readable } from 'node:stream';
import { createGunzip } from 'node:zlib';
import { CliFailure, sentenceOf } from './failure.ts';
import type { FileKey } from './source-state.ts';

/** One line of the file as it stands there, without its end; numbers begin with 1. */
export interface Line {
  number: number;
  text: string;
}

/** A file, or standard input, ready to be read once. */
export interface LineFile {
  /** Undefined for standard input: what comes next time cannot be known to be the same. */
  key?: FileKey;
  /** Undefined for standard input. */
  totalBytes?: number;
  /** How much of the file, as it is stored, has been read. */
  bytesRead(): number;
  lines(signal: AbortSignal): AsyncIterable<Line>;
}

/** The gateway takes bodies up to 1 MiB; what is far larger is not a file of bodies. */
const maxLineCharacters = 4 * 1024 * 1024;
const keyedBytes = 64 * 1024;

/**
 * Opens a file of one JSON body per line, packed by gzip or not (its first bytes say so, not its name); `-` is standard
 * input.
 *
 * @throws CliFailure when it cannot be read
 */
export async function openLines(file: string, stdin: Readable): Promise<LineFile> {
  let bytes = 0;
  const count = (chunk: Buffer) => {
    bytes += chunk.length;
  };
  if (file === '-') {
    return { bytesRead: () => bytes, lines: (signal) => readLines(stdin, { name: 'standard input', count, signal }) };
  }
  const key = await keyOf(file);
  return {
    key,
    totalBytes: key.size,
    bytesRead: () => bytes,
    lines: (signal) => readLines(createReadStream(file), { name: file, count, signal }),
  };
}

async function keyOf(file: string): Promise<FileKey> {
  let handle: FileHandle | undefined;
  try {
    handle = await open(file, 'r');
    const stat = await handle.stat();
    if (stat.isDirectory()) throw new CliFailure(`${file} is a folder: give a file of one JSON body per line.`);
    const head = Buffer.alloc(keyedBytes);
    const { bytesRead } = await handle.read(head, 0, keyedBytes, 0);
    const sha256 = createHash('sha256').update(head.subarray(0, bytesRead)).digest('hex');
    return { name: basename(file), size: stat.size, sha256 };
  } catch (error) {
    if (error instanceof CliFailure) throw error;
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') throw new CliFailure(`There is no file ${file}.`);
    throw new CliFailure(`${file} cannot be read: ${sentenceOf(error)}`);
  } finally {
    await handle?.close();
  }
}

interface Reading {
  name: string;
  count: (chunk: Buffer) => void;
  signal: AbortSignal;
}

async function* readLines(source: Readable, { name, count, signal }: Reading): AsyncGenerator<Line> {
  // A source that never ends (a pipe) would otherwise keep the command waiting for its next line.
  const stop = () => source.destroy();
  signal.addEventListener('abort', stop, { once: true });
  try {
    yield* splitLines(unpacked(source, count));
  } catch (error) {
    if (signal.aborted || error instanceof CliFailure) throw error;
    throw new CliFailure(`${name} cannot be read to its end: ${sentenceOf(error)}`);
  } finally {
    signal.removeEventListener('abort', stop);
    source.destroy();
  }
}

async function* unpacked(source: AsyncIterable<Buffer>, count: (chunk: Buffer) => void): AsyncGenerator<Buffer> {
  const chunks = source[Symbol.asyncIterator]();
  const next = async () => {
    const { done, value } = await chunks.next();
    if (done) return undefined;
    count(value);
    return value;
  };
  let head = Buffer.alloc(0);
  for (let chunk = await next(); chunk; chunk = await next()) {
    head = Buffer.concat([head, chunk]);
    if (head.length >= 2) break;
  }
  async function* whole(): AsyncGenerator<Buffer> {
    yield head;
    for (let chunk = await next(); chunk; chunk = await next()) yield chunk;
  }
  if (head[0] !== 0x1f || head[1] !== 0x8b) {
    yield* whole();
    return;
  }
  const gunzip = createGunzip();
  // The fault of either side reaches the reader through gunzip's own iterator.
  pipeline(Readable.from(whole()), gunzip, () => undefined);
  yield* gunzip as AsyncIterable<Buffer>;
}

// Not node:readline: it also breaks at U+2028 and U+2029, which may stand in a JSON string.
async function* splitLines(chunks: AsyncIterable<Buffer>): AsyncGenerator<Line> {
  const decoder = new TextDecoder('utf-8', { fatal: true });
  let rest = '';
  let number = 0;
  const line = (text: string): Line => {
    number += 1;
    return { number, text: text.endsWith('\r') ? text.slice(0, -1) : text };
  };
  for await (const chunk of chunks) {
    const parts = (rest + decoded(decoder, number, chunk)).split('\n');
    rest = parts.pop() ?? '';
    for (const part of parts) yield line(part);
    if (rest.length > maxLineCharacters) {
      throw new CliFailure(
        `Line ${number + 1} is larger than 4 MiB: one line is one body of sources.webhook, at most 1 MiB.`,
      );
    }
  }
  rest += decoded(decoder, number);
  if (rest !== '') yield line(rest);
}

function decoded(decoder: InstanceType<typeof TextDecoder>, linesBefore: number, chunk?: Buffer): string {
  try {
    return chunk ? decoder.decode(chunk, { stream: true }) : decoder.decode();
  } catch {
    throw new CliFailure(`After line ${linesBefore} the file is not UTF-8 text.`);
  }
}

import { isUtf8 } from 'node:buffer';
import type { IncomingMessage } from 'node:http';
import { Readable } from 'node:stream';
import { InvalidInput, TooLarge } from '../domain/errors.ts';
import { UnsupportedMediaType } from '../graphql/execute.ts';

/** Deepest nesting of objects and lists in a body: the 64 levels that a content may have, and the batch around it. */
export const maxJsonDepth = 68;

/** How much of a refused body is thrown away, for how long, before the connection ends. */
const lingerLimits = { bytes: 16 * 1024 * 1024, ms: 1_000 } as const;

/**
 * Reads a JSON body from the socket. What must not be read is refused before: another content type, a content
 * encoding, a length above `maxBytes`. Undefined: none was sent, then its type does not matter.
 *
 * @throws UnsupportedMediaType, TooLarge, InvalidInput
 */
export async function readBody(message: IncomingMessage, maxBytes: number): Promise<Buffer | undefined> {
  if (!hasBody(message)) return undefined;
  const { headers } = message;
  const length = headers['content-length'];
  checkType(headers['content-type']);
  const encoding = headers['content-encoding'];
  if (encoding !== undefined && encoding.trim().toLowerCase() !== 'identity') {
    throw new UnsupportedMediaType('a compressed body is not taken, send it without content-encoding');
  }
  if (length !== undefined && Number(length) > maxBytes) throw tooLarge(maxBytes);
  return collect(message, maxBytes);
}

/** Whether a request brings a body. */
export function hasBody({ headers }: IncomingMessage): boolean {
  const length = headers['content-length'];
  return headers['transfer-encoding'] !== undefined || (length !== undefined && Number(length) !== 0);
}

/** Fastify's own refusal of a content type that is no content type at all, as ours. */
export function bodyFault(error: unknown): unknown {
  const isTypeFault = String((error as { code?: unknown } | null)?.code).startsWith('FST_ERR_CTP');
  return isTypeFault ? new UnsupportedMediaType('the content type must be application/json') : error;
}

function checkType(contentType: string | undefined): void {
  const [type, ...parameters] = (contentType ?? '').split(';').map((part) => part.trim().toLowerCase());
  if (type !== 'application/json') throw new UnsupportedMediaType('the content type must be application/json');
  for (const parameter of parameters) {
    const charset = /^charset\s*=\s*"?([^"]*)"?$/.exec(parameter)?.[1];
    if (charset !== undefined && charset !== 'utf-8' && charset !== 'utf8') {
      throw new UnsupportedMediaType('the charset must be utf-8');
    }
  }
}

function collect(message: IncomingMessage, maxBytes: number): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = [];
    let size = 0;
    const done = (error: Error | undefined) => {
      message.off('data', onData).off('end', onEnd).off('error', onBreak).off('close', onBreak);
      if (error) reject(error);
      else resolve(chunks.length === 1 ? chunks[0]! : Buffer.concat(chunks, size));
    };
    const onData = (chunk: Buffer) => {
      size += chunk.length;
      if (size > maxBytes) done(tooLarge(maxBytes));
      else chunks.push(chunk);
    };
    const onEnd = () => done(undefined);
    const onBreak = () => done(new InvalidInput('', 'the body broke off'));
    message.on('data', onData).on('end', onEnd).on('error', onBreak).on('close', onBreak);
  });
}

/**
 * The answer to a request whose body is still on its way: all of it is sent at once, the end of the connection follows
 * when the client has stopped sending. Closing at once would take the answer away from who is still writing.
 */
export function lingering(answer: string, message: IncomingMessage): Readable {
  const stream = new Readable({ read() {} });
  stream.push(answer);
  let size = 0;
  const end = () => {
    clearTimeout(timer);
    message.off('data', onData).pause();
    stream.push(null);
  };
  const onData = (chunk: Buffer) => {
    size += chunk.length;
    if (size > lingerLimits.bytes) end();
  };
  const timer = setTimeout(end, lingerLimits.ms);
  message.on('data', onData).once('end', end).once('close', end).once('error', end).resume();
  return stream;
}

/**
 * The value of a JSON text. Keys such as `__proto__` are plain data, of equal keys the last counts.
 *
 * @throws InvalidInput not UTF-8, not JSON, nested deeper than `maxJsonDepth`, or with what the database cannot keep as it is: NUL,
 * halves of surrogate pairs (it would store U+FFFD without a word), numbers beyond a double
 */
export function parseJson(bytes: Buffer): unknown {
  if (!isUtf8(bytes)) throw new InvalidInput('', 'the body must be UTF-8');
  let value: unknown;
  try {
    value = JSON.parse(bytes.toString('utf8'));
  } catch {
    throw new InvalidInput('', 'the body must be JSON');
  }
  checkValue(value, 0);
  return value;
}

function checkValue(value: unknown, depth: number): void {
  switch (typeof value) {
    case 'string':
      checkText(value);
      return;
    case 'number':
      if (!Number.isFinite(value)) throw new InvalidInput('', 'a number is too large');
      return;
    case 'object':
      break;
    default:
      return;
  }
  if (value === null) return;
  if (depth >= maxJsonDepth) throw new InvalidInput('', `the body nests deeper than ${maxJsonDepth}`);
  if (Array.isArray(value)) {
    for (const item of value) checkValue(item, depth + 1);
    return;
  }
  for (const key of Object.keys(value)) {
    checkText(key);
    checkValue((value as Record<string, unknown>)[key], depth + 1);
  }
}

/** @throws InvalidInput for NUL and for halves of surrogate pairs */
export function checkText(text: string): void {
  if (text.includes('\0')) throw new InvalidInput('', 'a text has a NUL character');
  if (!text.isWellFormed()) throw new InvalidInput('', 'a text has half of a surrogate pair');
}

function tooLarge(maxBytes: number): TooLarge {
  return new TooLarge(`the body is larger than ${maxBytes} bytes`);
}

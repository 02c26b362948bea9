import { Writable } from 'node:stream';

/** A stream that keeps what is written, as text. */
export function openPrinted(): { out: Writable; text(): string } {
  const parts: string[] = [];
  const out = new Writable({
    write(chunk: Buffer, _encoding, done) {
      parts.push(chunk.toString());
      done();
    },
  });
  return { out, text: () => parts.join('') };
}

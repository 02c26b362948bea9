import { randomBytes } from 'node:crypto';
import { connect, type Socket } from 'node:net';

export interface Frame {
  opcode: number;
  payload?: Buffer | string;
  fin?: boolean;
  /** The three reserved bits, as a number. */
  reserved?: number;
  masked?: boolean;
  /** What the header says, where that is not the truth. */
  length?: number;
}

export const opcodes = { more: 0, text: 1, binary: 2, close: 8, ping: 9, pong: 10 };

/** A WebSocket below any library: it sends what no client would, and reads only when it is asked to. */
export class RawSocket {
  /** All that came after the handshake. */
  readonly received: Buffer[] = [];
  readonly tcp: Socket;
  readonly #ended: Promise<void>;

  private constructor(tcp: Socket) {
    this.tcp = tcp;
    this.#ended = new Promise((resolve) => tcp.once('close', () => resolve()));
    tcp.on('error', () => undefined);
    tcp.on('data', (chunk: Buffer) => this.received.push(chunk));
  }

  /** Asks for an upgrade. @returns the status of the answer, and the socket where it is 101 */
  static async open(url: string, headers: Record<string, string> = {}): Promise<{ status: number; socket: RawSocket }> {
    const { hostname, port, pathname } = new URL(url);
    const tcp = connect(Number(port), hostname);
    const all = {
      host: `${hostname}:${port}`,
      upgrade: 'websocket',
      connection: 'Upgrade',
      'sec-websocket-key': randomBytes(16).toString('base64'),
      'sec-websocket-version': '13',
      'sec-websocket-protocol': 'graphql-transport-ws',
      ...headers,
    };
    const lines = Object.entries(all).map(([name, value]) => `${name}: ${value}\r\n`);
    tcp.write(`GET ${pathname} HTTP/1.1\r\n${lines.join('')}\r\n`);
    const answer = await new Promise<Buffer>((resolve) => {
      tcp.once('data', resolve);
      tcp.once('close', () => resolve(Buffer.alloc(0)));
      tcp.once('error', () => resolve(Buffer.alloc(0)));
    });
    const socket = new RawSocket(tcp);
    // The first frame may come together with the handshake.
    socket.received.push(answer.subarray(answer.indexOf('\r\n\r\n') + 4));
    return { status: Number(String(answer).split(' ')[1]), socket };
  }

  send(frame: Frame): void {
    this.tcp.write(bytesOf(frame));
  }

  text(message: unknown): void {
    this.send({ opcode: opcodes.text, payload: typeof message === 'string' ? message : JSON.stringify(message) });
  }

  /** The code of the close frame that the server sent, 0 where it only cut the line. The socket is gone then. */
  async closed(): Promise<number> {
    const told = () => closeCode(Buffer.concat(this.received));
    const word = new Promise<void>((resolve) => {
      this.tcp.on('data', () => told() > 0 && resolve());
      if (told() > 0) resolve();
    });
    await Promise.race([word, this.#ended]);
    this.tcp.destroy();
    return told();
  }

  destroy(): void {
    this.tcp.destroy();
  }
}

export function bytesOf({ opcode, payload = '', fin = true, reserved = 0, masked = true, length }: Frame): Buffer {
  const body = Buffer.from(payload);
  const told = length ?? body.length;
  const first = (fin ? 0x80 : 0) | (reserved << 4) | opcode;
  const mask = masked ? 0x80 : 0;
  const head =
    told < 126
      ? Buffer.from([first, mask | told])
      : told < 65_536
        ? Buffer.from([first, mask | 126, told >> 8, told & 255])
        : Buffer.concat([Buffer.from([first, mask | 127]), bigEndian(told)]);
  if (!masked) return Buffer.concat([head, body]);
  const key = randomBytes(4);
  return Buffer.concat([head, key, body.map((byte, index) => byte ^ key[index % 4]!)]);
}

function bigEndian(value: number): Buffer {
  const bytes = Buffer.alloc(8);
  bytes.writeBigUInt64BE(BigInt(value));
  return bytes;
}

// Frames of a server are not masked.
function closeCode(bytes: Buffer): number {
  for (let at = 0; at + 2 <= bytes.length; ) {
    const short = bytes[at + 1]! & 127;
    const [skip, length] =
      short < 126
        ? [2, short]
        : short === 126
          ? [4, bytes.readUInt16BE(at + 2)]
          : [10, Number(bytes.readBigUInt64BE(at + 2))];
    if ((bytes[at]! & 15) === opcodes.close) return length >= 2 ? bytes.readUInt16BE(at + skip) : 1005;
    at += skip + length;
  }
  return 0;
}

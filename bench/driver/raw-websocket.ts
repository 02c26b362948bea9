import { randomBytes } from 'node:crypto';
import { connect, type Socket } from 'node:net';

const headEnd = Buffer.from('\r\n\r\n');

/**
 * A WebSocket client that does the least a subscriber can do: `ws` itself would be the bottleneck of a thousand of them.
 * Frames of a server are not masked; ours carry a mask of zeros, which leaves the bytes as they are.
 */
export class RawWebSocket {
  readonly #socket: Socket;
  #rest: Buffer | undefined;
  #onFrame: (data: Buffer, from: number, to: number) => void = () => {};
  /** Called with the close code of the server, or 1006. */
  onClosed: (code: number) => void = () => {};
  #closeCode = 1006;

  private constructor(socket: Socket) {
    this.#socket = socket;
  }

  static open(port: number, path: string, protocol: string): Promise<RawWebSocket> {
    return new Promise((resolve, reject) => {
      const socket = connect(port, '127.0.0.1');
      socket.setNoDelay(true);
      socket.once('error', reject);
      socket.once('connect', () => {
        socket.write(
          `GET ${path} HTTP/1.1\r\nhost: 127.0.0.1\r\nupgrade: websocket\r\nconnection: Upgrade\r\n` +
            `sec-websocket-key: ${randomBytes(16).toString('base64')}\r\nsec-websocket-version: 13\r\n` +
            `sec-websocket-protocol: ${protocol}\r\n\r\n`,
        );
      });
      let head = Buffer.alloc(0);
      const onHead = (chunk: Buffer) => {
        head = Buffer.concat([head, chunk]);
        const end = head.indexOf(headEnd);
        if (end < 0) return;
        socket.off('data', onHead).off('error', reject);
        if (!head.toString('latin1', 0, end).startsWith('HTTP/1.1 101')) {
          socket.destroy();
          reject(new Error(`no WebSocket: ${head.toString('latin1', 0, 100)}`));
          return;
        }
        const made = new RawWebSocket(socket);
        made.#listen();
        const rest = head.subarray(end + headEnd.length);
        if (rest.length > 0) made.#read(rest);
        resolve(made);
      };
      socket.on('data', onHead);
    });
  }

  /** Text frames as a part of a buffer that is only lent. */
  onFrame(listener: (data: Buffer, from: number, to: number) => void): void {
    this.#onFrame = listener;
  }

  send(text: string): void {
    this.#write(1, Buffer.from(text));
  }

  close(): void {
    this.onClosed = () => {};
    this.#socket.destroy();
  }

  #listen(): void {
    this.#socket.on('data', (chunk: Buffer) => this.#read(chunk));
    this.#socket.on('error', () => {});
    this.#socket.on('close', () => this.onClosed(this.#closeCode));
  }

  #write(opcode: number, payload: Buffer): void {
    const isLong = payload.length > 125;
    const head = Buffer.alloc(isLong ? 8 : 6);
    head[0] = 0x80 | opcode;
    head[1] = 0x80 | (isLong ? 126 : payload.length);
    if (isLong) head.writeUInt16BE(payload.length, 2);
    this.#socket.write(Buffer.concat([head, payload]));
  }

  #read(chunk: Buffer): void {
    const data = this.#rest ? Buffer.concat([this.#rest, chunk]) : chunk;
    this.#rest = undefined;
    let at = 0;
    while (at < data.length) {
      let length = data.length - at < 2 ? -1 : data[at + 1]! & 0x7f;
      let head = 2;
      if (length === 126) {
        head = 4;
        length = data.length - at < head ? -1 : data.readUInt16BE(at + 2);
      } else if (length === 127) {
        head = 10;
        length = data.length - at < head ? -1 : Number(data.readBigUInt64BE(at + 2));
      }
      if (length < 0 || data.length - at < head + length) {
        this.#rest = data.subarray(at);
        return;
      }
      const from = at + head;
      at = from + length;
      this.#take(data[from - head]! & 0x0f, data, from, at);
    }
  }

  #take(opcode: number, data: Buffer, from: number, to: number): void {
    if (opcode === 1) this.#onFrame(data, from, to);
    else if (opcode === 9) this.#write(10, data.subarray(from, to));
    else if (opcode === 8) this.#closeCode = to - from >= 2 ? data.readUInt16BE(from) : 1005;
  }
}

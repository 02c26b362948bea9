import { connect, type Socket } from 'node:net';

const headEnd = Buffer.from('\r\n\r\n');

/** One keep-alive connection with one request at a time, and no more HTTP than the answers here need. */
export class HttpConnection {
  readonly #socket: Socket;
  #waiting: ((status: number, body: Buffer) => void) | undefined;
  #chunks: Buffer[] = [];
  #missing = 0;
  #status = 0;

  private constructor(socket: Socket, onLost: (error: Error) => void) {
    this.#socket = socket;
    socket.setNoDelay(true);
    socket.on('data', (chunk: Buffer) => this.#read(chunk));
    socket.on('error', onLost);
    socket.on('close', () => {
      if (this.#waiting) onLost(new Error('the connection was closed before the answer'));
    });
  }

  static open(port: number, onLost: (error: Error) => void): Promise<HttpConnection> {
    return new Promise((resolve, reject) => {
      const socket = connect(port, '127.0.0.1');
      socket.once('error', reject);
      socket.once('connect', () => {
        socket.off('error', reject);
        resolve(new HttpConnection(socket, onLost));
      });
    });
  }

  /** `head` ends before the length; the body must be ASCII, so that characters are bytes. */
  send(head: string, body: string, answered: (status: number, body: Buffer) => void): void {
    this.#waiting = answered;
    this.#socket.write(`${head}${body.length}\r\n\r\n${body}`, 'latin1');
  }

  close(): void {
    this.#waiting = undefined;
    this.#socket.destroy();
  }

  #read(chunk: Buffer): void {
    if (this.#missing > 0) {
      this.#chunks.push(chunk);
      this.#missing -= chunk.length;
      if (this.#missing <= 0) this.#finish(Buffer.concat(this.#chunks));
      return;
    }
    const data = this.#chunks.length === 0 ? chunk : Buffer.concat([...this.#chunks.splice(0), chunk]);
    const end = data.indexOf(headEnd);
    if (end < 0) {
      this.#chunks = [data];
      return;
    }
    const head = data.toString('latin1', 0, end).toLowerCase();
    this.#status = Number(head.slice(9, 12));
    const length = /content-length: (\d+)/.exec(head)?.[1];
    if (length === undefined) {
      this.#socket.destroy(new Error(`an answer without a length: ${head.slice(0, 100)}`));
      return;
    }
    const body = data.subarray(end + headEnd.length);
    this.#missing = Number(length) - body.length;
    this.#chunks = [body];
    if (this.#missing <= 0) this.#finish(body);
  }

  #finish(body: Buffer): void {
    const waiting = this.#waiting;
    this.#waiting = undefined;
    this.#chunks = [];
    this.#missing = 0;
    waiting?.(this.#status, body);
  }
}

/** The lines before the length of a request's body. */
export function requestHead(path: string, token: string): string {
  return `POST ${path} HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-type: application/json\r\nauthorization: Bearer ${token}\r\ncontent-length: `;
}

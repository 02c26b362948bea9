import type { IncomingMessage } from 'node:http';
import type { Duplex } from 'node:stream';
import { type WebSocket, WebSocketServer } from 'ws';

export interface Broadcast {
  /** Takes a socket over. */
  accept(request: IncomingMessage, socket: Duplex, head: Buffer): void;
  /** Tells every subscriber of each message that was stored. */
  messages(
    messages: readonly { content: { text: string } }[],
    ids: readonly string[],
    stored: Set<string | null>,
  ): void;
}

/**
 * graphql-transport-ws as far as one subscription needs it: the frame of a message is made once, and the same bytes go
 * to every socket.
 */
export function createBroadcast(): Broadcast {
  const upgrades = new WebSocketServer({ noServer: true, clientTracking: false, perMessageDeflate: false });
  const subscribers = new Map<string, Set<WebSocket>>();

  function open(socket: WebSocket): void {
    socket.on('error', () => socket.terminate());
    socket.on('message', (data: Buffer) => {
      const { type, id } = JSON.parse(data.toString()) as { type: string; id: string };
      if (type === 'connection_init') socket.send('{"type":"connection_ack"}');
      if (type !== 'subscribe') return;
      const equal = subscribers.get(id) ?? new Set();
      subscribers.set(id, equal.add(socket));
      socket.once('close', () => equal.delete(socket));
    });
  }

  return {
    accept: (request, socket, head) => upgrades.handleUpgrade(request, socket, head, open),
    messages(messages, ids, stored) {
      for (const [id, sockets] of subscribers) {
        if (sockets.size === 0) continue;
        for (const [index, { content }] of messages.entries()) {
          if (!stored.has(ids[index]!)) continue;
          const shown = Buffer.from(`Message:${ids[index]}`).toString('base64url');
          const inbox = { message: { id: shown, content: { text: content.text } } };
          const frame = Buffer.from(JSON.stringify({ id, type: 'next', payload: { data: { inbox } } }));
          for (const socket of sockets) socket.send(frame, { binary: false });
        }
      }
    },
  };
}

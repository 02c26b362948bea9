// Many subscribers in a process of their own:
//
//   fork('subscriber-driver.js').send({ wsUrl, token, query, variables: [{ id }, ...] })
//
// One socket with one subscription for each entry of `variables`, from several loopback addresses. Tells its parent
// { joined, closed, refused, latencies } four times a second: `latencies` are new since the last word, in ms, from the wall
// clock time that a message has as its text to its arrival.
import { once } from 'node:events';
import { WebSocket } from 'ws';

const [{ wsUrl, token, query, variables }] = await once(process, 'message');
const atOnce = 50;
const addresses = 8;
let next = 0;
let joined = 0;
let refused = 0;
const closed = {};
let latencies = [];

process.on('disconnect', () => process.exit(0));
setInterval(() => {
  process.send?.({ joined, closed, refused, latencies });
  latencies = [];
}, 250);
for (let one = 0; one < atOnce; one += 1) open();

function open() {
  if (next === variables.length) return;
  const number = next;
  next += 1;
  const socket = new WebSocket(wsUrl, 'graphql-transport-ws', {
    localAddress: `127.0.0.${2 + (number % addresses)}`,
    perMessageDeflate: false,
  });
  const send = (frame) => socket.send(JSON.stringify(frame));
  socket.on('error', () => undefined);
  socket.once('open', () => send({ type: 'connection_init', payload: { authorization: `Bearer ${token}` } }));
  socket.on('message', (data) => {
    const frame = JSON.parse(String(data));
    if (frame.type === 'connection_ack') {
      send({ id: '1', type: 'subscribe', payload: { query, variables: variables[number] } });
      // Answered after the subscription before it.
      send({ type: 'ping' });
    } else if (frame.type === 'pong') {
      joined += 1;
      open();
    } else if (frame.type === 'next') hear(frame.payload);
    else if (frame.type !== 'ping') refused += 1;
  });
  socket.once('close', (code) => {
    closed[code] = (closed[code] ?? 0) + 1;
  });
}

function hear(payload) {
  const event = Object.values(payload.data ?? {})[0];
  if (event?.message?.raw) {
    // What came before may be heard late: while any transaction of the server is open, younger events wait for it.
    const latency = performance.timeOrigin + performance.now() - Number(event.message.raw.text);
    if (!Number.isNaN(latency)) latencies.push(latency);
  } else if (!event) refused += 1;
}

// The writer of a fault run, in a process of its own: sends webhook batches and keeps a ledger of what it is about to
// send and what was acknowledged. A batch that was not acknowledged is sent again, with the same ids, until it is.
//
//   fork('webhook-driver.js', [JSON.stringify({ urls, token, ledger, ... })])
//
// Each line of the ledger is written, by the kernel's account, before the next step: `send` before the first try,
// `again` before the others, `ack` or `no` after the answer. Tells its parent { sends, acks } after each line, stops
// taking new batches when told 'stop', and ends when all of them are acknowledged or `giveUpMs` is over.
import { openSync, writeSync } from 'node:fs';
import { Agent, request } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';

const {
  urls,
  token,
  ledger,
  channel,
  writers = 4,
  perSecond = 60,
  perBatch = 5,
  conversations = 40,
  giveUpMs = 10_000,
  timeoutMs = 5_000,
  seed = 1,
} = JSON.parse(process.argv[2]);

const file = openSync(ledger, 'a');
const agent = new Agent({ keepAlive: true, maxSockets: writers });
const random = randomOf(seed);
const begunAt = Date.now();
let sends = 0;
let acks = 0;
let batches = 0;
let stoppedAt;

process.on('message', (message) => {
  if (message === 'stop') stoppedAt ??= performance.now();
});
process.on('disconnect', () => process.exit(1));

await Promise.all(Array.from({ length: writers }, write));
note({ k: 'end' });
process.disconnect();
process.exit(0);

function note(line) {
  writeSync(file, `${JSON.stringify({ ...line, at: performance.timeOrigin + performance.now() })}\n`);
  if (line.k === 'send' || line.k === 'again') sends += 1;
  if (line.k === 'ack') acks += 1;
  process.send?.({ sends, acks });
}

async function write() {
  while (stoppedAt === undefined) {
    const number = batches;
    batches += 1;
    const dueMs = begunAt + (number * 1_000) / perSecond - Date.now();
    if (dueMs > 0) await sleep(dueMs);
    if (stoppedAt !== undefined) return;
    await deliver(number, makeBatch(number));
  }
}

async function deliver(number, messages) {
  const body = JSON.stringify({ messages });
  for (let attempt = 1; ; attempt += 1) {
    if (attempt === 1) note({ k: 'send', b: number, m: messages.map(toLine) });
    else note({ k: 'again', b: number, t: attempt });
    const startedAt = performance.now();
    const answer = await post(urls[(number + attempt - 1) % urls.length], body);
    const ms = performance.now() - startedAt;
    if (answer.status === 200) return note({ k: 'ack', b: number, ms, items: itemsOf(answer.text) });
    note({ k: 'no', b: number, s: answer.status, ms, w: answer.retryAfter, e: answer.text.slice(0, 200) });
    // Refused for what it is: trying again would not help, and the verifier shall see it.
    if (answer.status >= 400 && answer.status < 500 && answer.status !== 429) return;
    if (stoppedAt !== undefined && performance.now() - stoppedAt > giveUpMs) return;
    await sleep(20 + 60 * random());
  }
}

function makeBatch(number) {
  // Mostly one or two conversations a batch, some with more: what belongs together must be whole over all of them.
  const places = Array.from({ length: 1 + Math.floor(3 * random()) }, () => Math.floor(random() * conversations));
  return Array.from({ length: perBatch }, (_, index) => {
    const place = places[index % places.length];
    return {
      source_message_id: `m-${seed}-${number}-${index}`,
      source_conversation_id: `c-${place}`,
      source_channel_id: channel,
      source_sender_id: `s-${place}`,
      content: { text: `message ${index} of batch ${number}` },
      from_contact: random() < 0.8,
      // Not in the order of arrival, as sources do it.
      sent_at: begunAt + number * 100 + index - Math.floor(random() * 2_000),
    };
  });
}

function toLine(message) {
  return [
    message.source_message_id,
    message.source_conversation_id,
    message.from_contact ? 1 : 0,
    message.sent_at,
    message.content.text,
  ];
}

function itemsOf(text) {
  try {
    return JSON.parse(text).data.length;
  } catch {
    return 0;
  }
}

function post(url, body) {
  return new Promise((resolve) => {
    const ask = request(`${url}/sources.webhook`, {
      method: 'POST',
      agent,
      timeout: timeoutMs,
      headers: { authorization: token, 'content-type': 'application/json', 'content-length': Buffer.byteLength(body) },
    });
    const fail = (error) => resolve({ status: 0, text: String(error?.code ?? error) });
    ask.on('error', fail);
    ask.on('timeout', () => ask.destroy(new Error('timeout')));
    ask.on('response', (response) => {
      const chunks = [];
      response.on('data', (chunk) => chunks.push(chunk));
      response.on('error', fail);
      response.on('end', () => {
        const retryAfter = response.headers['retry-after'];
        resolve({ status: response.statusCode, retryAfter, text: Buffer.concat(chunks).toString() });
      });
    });
    ask.end(body);
  });
}

/** The same numbers for the same seed. */
function randomOf(start) {
  let state = start >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  };
}

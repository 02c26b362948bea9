import { sourceThingId } from '../../src/domain/ids.ts';
import { Histogram } from '../histogram.ts';
import type { ActionEndpoint } from './action-endpoint.ts';
import { Faults } from './faults.ts';
import { HttpConnection, requestHead } from './http-connection.ts';
import type { ClosedLoad, LoadResult, Phase } from './protocol.ts';
import {
  isRising,
  longConversation,
  messagesBody,
  messagesPath,
  type Request,
  readPage,
  type Script,
  scriptOf,
} from './scripts.ts';

/** What is still on its way at the end may take so long. */
const graceMs = 20_000;

/** Keeps every connection busy with one request after the other for the seconds of the slice. */
export async function closedLoop(
  load: ClosedLoad,
  endpoint: ActionEndpoint,
  onPhase: (phase: Phase) => void,
): Promise<LoadResult> {
  const faults = new Faults();
  endpoint.faults = faults;
  endpoint.token = load.target.credentials.sourceToken;
  const cursors = load.kind === 'messages_deep' ? await allCursors(load, faults) : [];
  const script = scriptOf(load, faults, endpoint, cursors);
  const run = new Run(script, faults);
  const opening = Array.from({ length: load.connections }, () =>
    HttpConnection.open(load.target.port, (error) => faults.add(`connection: ${error.message}`)),
  );
  const connections = await Promise.all(opening);
  try {
    onPhase('begin');
    await run.during(connections, load.seconds);
    onPhase('end');
    await Promise.all(connections.map((connection, index) => repeat(connection, index, connections.length, script)));
  } finally {
    for (const connection of connections) connection.close();
    endpoint.forget();
  }
  return {
    units: run.units,
    seconds: load.seconds,
    p50Ms: run.times.quantile(0.5),
    p99Ms: run.times.quantile(0.99),
    worked: run.acknowledged,
    acknowledged: run.acknowledged,
    faults: faults.count,
    examples: faults.examples,
  };
}

class Run {
  readonly times = new Histogram();
  units = 0;
  acknowledged = 0;
  readonly #script: Script;
  readonly #faults: Faults;
  #deadline = 0;

  constructor(script: Script, faults: Faults) {
    this.#script = script;
    this.#faults = faults;
  }

  async during(connections: HttpConnection[], seconds: number): Promise<void> {
    this.#deadline = performance.now() + seconds * 1_000;
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<void>((resolve) => {
      timer = setTimeout(
        () => {
          this.#faults.add(`no answer within ${graceMs / 1_000} s`);
          resolve();
        },
        seconds * 1_000 + graceMs,
      );
    });
    await Promise.race([Promise.all(connections.map((connection) => this.#loop(connection))), late]);
    clearTimeout(timer);
  }

  // Callbacks rather than promises: the driver's own time is taken from the machine that is measured.
  #loop(connection: HttpConnection): Promise<void> {
    return new Promise((resolve) => {
      const begin = () => {
        const startedAt = performance.now();
        if (startedAt >= this.#deadline) return resolve();
        const request = this.#script.next();
        let open = request.also ? 2 : 1;
        const done = () => {
          open -= 1;
          if (open > 0) return;
          this.#count(request, startedAt);
          begin();
        };
        request.also?.(done);
        connection.send(request.head, request.body, (status, body) => {
          request.check(status, body);
          done();
        });
      };
      begin();
    });
  }

  #count(request: Request, startedAt: number): void {
    const now = performance.now();
    this.acknowledged += request.units;
    if (now > this.#deadline) return;
    this.units += request.units;
    this.times.record(now - startedAt);
  }
}

async function repeat(connection: HttpConnection, index: number, all: number, script: Script): Promise<void> {
  for (let number = index; number < script.repeats.length; number += all) {
    const { head, body, check } = script.repeats[number]!;
    await new Promise<void>((resolve) => {
      connection.send(head, body, (status, answer) => {
        check(status, answer);
        resolve();
      });
    });
  }
}

const known = new Map<string, string[]>();

/** Walks through the long conversation: its places are opaque, and no message may be missing or come twice. */
async function allCursors({ target, style, pageSize }: ClosedLoad, faults: Faults): Promise<string[]> {
  const key = `${target.port} ${style} ${pageSize}`;
  const walked = known.get(key);
  if (walked) return walked;
  const cursors: string[] = [];
  const seen = new Set<string>();
  const id = sourceThingId(target.credentials.sourceId, `c${longConversation.number}`);
  const head = requestHead(messagesPath[style], target.credentials.userToken);
  const connection = await HttpConnection.open(target.port, (error) => faults.add(error.message));
  let count = 0;
  for (let cursor: string | null = ''; cursor !== null && count <= longConversation.messages; ) {
    const body = messagesBody(style, id, pageSize, cursor);
    const page = await new Promise<ReturnType<typeof readPage>>((resolve, reject) => {
      connection.send(head, body, (status, answer) => {
        if (status === 200) resolve(readPage('messages', style, answer));
        else reject(new Error(`messages: ${status} ${answer.toString()}`));
      });
    });
    faults.expect(isRising(page.items), () => 'messages: a page is out of order');
    for (const item of page.items) seen.add(item.id);
    count += page.items.length;
    cursor = page.next;
    if (cursor) cursors.push(cursor);
  }
  connection.close();
  faults.expect(
    count === longConversation.messages && seen.size === count,
    () => `messages: ${count} over all pages, ${seen.size} different, instead of ${longConversation.messages}`,
  );
  // The last page may be short.
  cursors.pop();
  known.set(key, cursors);
  return cursors;
}

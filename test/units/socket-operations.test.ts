import { describe, expect, it } from '@jest/globals';
import { SocketOperations } from '../../src/server/socket-operations.ts';

const turnOfTheLoop = () => new Promise((resolve) => setImmediate(resolve));

/** Operations whose messages are noted when they are handed on, and end when they are told to. */
function socket() {
  const operations = new SocketOperations();
  const handed: string[] = [];
  const ends = new Map<string, () => void>();
  const take = (type: string, id: string, name = `${type} ${id}`) =>
    operations.take({ type, id }, () => {
      handed.push(name);
      if (type !== 'subscribe') {
        // What graphql-ws does: the operation ends with it.
        ends.get(id)?.();
        return Promise.resolve();
      }
      return new Promise((resolve) => ends.set(id, resolve));
    });
  return { operations, handed, take, end: (id: string) => ends.get(id)?.() };
}

describe('the operations of a socket', () => {
  it('begin anew under an id when the one before is opened, ended and over', async () => {
    const { operations, handed, take } = socket();
    for (const name of ['first', 'second']) {
      take('subscribe', 'x', name);
      take('complete', 'x', `end of ${name}`);
    }
    take('subscribe', 'y');
    await turnOfTheLoop();
    expect(handed).toEqual(['first', 'subscribe y']);

    operations.opened('x');
    await turnOfTheLoop();
    await turnOfTheLoop();
    expect(handed).toEqual(['first', 'subscribe y', 'end of first', 'second']);
    operations.opened('x');
    await turnOfTheLoop();
    await turnOfTheLoop();
    expect(handed.at(-1)).toBe('end of second');
  });

  it('hand a second one with the id of one that runs on at once: it closes the socket', async () => {
    const { operations, handed, take } = socket();
    take('subscribe', 'x', 'first');
    operations.opened('x');
    await turnOfTheLoop();
    take('subscribe', 'x', 'second');
    await turnOfTheLoop();
    expect(handed).toEqual(['first', 'second']);
  });

  it('hand other messages on at once, whatever they bring', () => {
    const { operations } = socket();
    const handed: unknown[] = [];
    for (const message of [{ type: 'ping' }, {}, { type: 'subscribe', id: 1 }, Object('text')]) {
      expect(operations.take(message, async () => void handed.push(message))).toBe(true);
    }
    expect(handed).toHaveLength(4);
  });

  it('keep two hundred messages waiting, no more', async () => {
    const { take } = socket();
    take('subscribe', 'x');
    await turnOfTheLoop();
    const taken = Array.from({ length: 202 }, () => take('complete', 'x'));
    expect(taken.filter((isTaken) => isTaken)).toHaveLength(200);
    expect(take('subscribe', 'y')).toBe(true);
  });

  it('are executed four at a time, the next when the result of one is gone', async () => {
    const { operations, take, end } = socket();
    const executed: string[] = [];
    for (const id of ['a', 'b', 'c', 'd', 'e', 'f']) {
      take('subscribe', id);
      void operations.mayExecute(id).then(() => executed.push(id));
    }
    await turnOfTheLoop();
    expect(executed).toEqual(['a', 'b', 'c', 'd']);
    end('b');
    await turnOfTheLoop();
    expect(executed).toEqual(['a', 'b', 'c', 'd', 'e']);
    for (const id of ['a', 'c', 'd', 'e']) end(id);
    await turnOfTheLoop();
    expect(executed).toHaveLength(6);
  });
});

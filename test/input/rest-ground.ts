import { expect } from '@jest/globals';
import { type Audience, rights } from '../../src/domain/access.ts';
import type { Row } from '../../src/rest/run-row.ts';
import { type App, type Json, type MadeSource, type RestResult, startApp } from '../support/app.ts';
import { type Field, fieldsOf, restRows, rootFieldOf, sampleBody, withValue } from '../support/rest-rows.ts';
import { isReadable } from './values.ts';
import { expectNoInnards, unstalled } from './watch.ts';

/** A field of a row's body. */
export interface Place {
  name: string;
  row: Row;
  field: Field;
}

/** A Parley with one of everything, and every field of every row of the older contracts. */
export class RestGround {
  readonly app: App;
  readonly rows: [name: string, row: Row][];
  readonly places: Place[];
  readonly source: MadeSource;
  readonly admin: string;
  /** Ids that exist, by the name of the field. The source is not among them: it would be deleted. */
  readonly known: Record<string, unknown>;

  static async start(): Promise<RestGround> {
    // No worker: what the background does must not be taken for what a request wrote. Failed logins are not slowed down.
    const app = await startApp({ settings: { role: 'gateway', retryTimeScale: 1e-9 } });
    const source = await app.make.source();
    const channel = await app.make.channel(source);
    const conversation = await app.make.conversation({ source, channel });
    const known = {
      conversation_id: conversation.id,
      message_id: conversation.messageIds[0],
      channel_id: channel.id,
      state: 'CLOSED',
      color: 'tag-red',
      subject: 'conversation',
    };
    return new RestGround(app, await restRows(), { source, admin: (await app.make.admin()).token, known });
  }

  private constructor(
    app: App,
    rows: [string, Row][],
    { source, admin, known }: Pick<RestGround, 'source' | 'admin' | 'known'>,
  ) {
    this.app = app;
    this.rows = rows;
    this.places = rows.flatMap(([name, row]) => fieldsOf(row.in).map((field) => ({ name, row, field })));
    this.source = source;
    this.admin = admin;
    this.known = known;
  }

  bodyOf(row: Row): Record<string, unknown> {
    return sampleBody(row.in, this.known);
  }

  /** Calls a row as somebody who may. */
  call(name: string, row: Row, body: unknown): Promise<RestResult> {
    const allowed: Audience[] = rights[rootFieldOf(row) as keyof typeof rights];
    if (allowed.includes('anonymous')) return this.app.rest(name, body);
    return this.app.rest(name, body, { token: allowed.includes('ADMIN') ? this.admin : this.source.token });
  }

  /** Whether the field's shape alone forbids a value. */
  isRefused({ field }: Place, value: unknown): boolean {
    return !isReadable(value) || field.refuses(value);
  }

  /** Sends a value in a field, the others being right, and looks at whatever comes back. */
  async try(place: Place, value: unknown): Promise<void> {
    const { name, row, field } = place;
    const body = withValue(this.bodyOf(row), field.path, value);
    const answer = await unstalled(() => this.call(name, row, body));
    try {
      expectContract(answer);
      if (this.isRefused(place, value)) expect(answer.status).toBe(400);
      if (isReadable(value) && field.refuses(value)) {
        expect(answer.body.errors.map((fault: Json) => fault.path)).toContain(field.name);
      }
    } catch (error) {
      const given = JSON.stringify(value)?.slice(0, 80);
      const told = `${answer.status} ${answer.text.slice(0, 500)}`;
      throw new Error(`${name} ${field.name} = ${given}: ${told}`, { cause: error });
    }
  }
}

const shapes: Record<number, (answer: RestResult) => unknown> = {
  204: ({ text }) => expect(text).toBe(''),
  401: ({ text, body }) => text !== '' && expect(body).toEqual({ message: expect.any(String) }),
  429: ({ headers }) => expect(Number(headers.get('retry-after'))).toBeGreaterThan(0),
};

/** Below 500, of the contract's shape, and without a word of how we are made. */
export function expectContract(answer: RestResult): void {
  const { status, text, body } = answer;
  expect(status).toBeLessThan(500);
  shapes[status]?.(answer);
  if (status < 400 || text === '') return;
  const errors = body.errors === undefined ? {} : { errors: expect.any(Array) };
  expect(body).toEqual({ message: expect.any(String), ...errors });
  expect(body.message.length).toBeLessThan(1_000);
  for (const fault of body.errors ?? [])
    expect(fault).toEqual({ path: expect.any(String), message: expect.any(String) });
  expectNoInnards(text);
  // Nor the words of the other API behind it.
  expect(text).not.toMatch(/Expected type|GraphQL|Variable "/);
}

import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import pg from 'pg';
import { type App, startApp } from '../support/app.ts';
import { flowsOf } from '../support/flows.ts';
import { testSecrets } from './gateway-process.ts';

const child = fileURLToPath(new URL('./advance-child.js', import.meta.url));
/** Children beside each other: most of their time is their start. */
const atOnce = 2;

/** Kills the process that advances a journey after one statement of it in so many, each in a journey of its own. */
export function describeKills(one: { in: number }): void {
  describe(`advance, killed after ${one.in === 1 ? 'each of its statements' : `one of ${one.in} statements`} in turn`, () => {
    let app: App;
    let client: pg.Client;
    let flows: Awaited<ReturnType<typeof flowsOf>>;
    let flowId: string;
    beforeAll(async () => {
      // No worker: the lanes are worked by the children alone.
      app = await startApp({ settings: { role: 'gateway', ...testSecrets } });
      client = new pg.Client({ connectionString: app.database.url });
      await client.connect();
      flows = await flowsOf(app);
      flowId = await flows.published([
        {
          id: 'greet',
          type: 'message',
          to: { conversation: true },
          content: 'Hello {{ session.start.name }}',
          next: 'count',
        },
        { id: 'count', type: 'set', vars: { n: '1 + 1' }, next: 'wait' },
        { id: 'wait', type: 'wait', for: 'event', name: 'go', where: 'event.ok', timeout: 'P2D', next: 'thank' },
        { id: 'thank', type: 'message', to: { conversation: true }, content: '{{ event.text }}', next: 'end' },
        { id: 'end', type: 'end', status: 'COMPLETED', reason: 'n = {{ journey.vars.n }}' },
      ]);
    });

    afterAll(() => client.end());

    interface Made {
      journey: string;
      conversation: string;
    }

    async function journeyWithEvents(): Promise<Made> {
      const conversation = await app.make.conversation();
      const { legacyId } = await flows.start(flowId, {
        conversationId: conversation.id,
        start: { name: 'Ada' },
        identifiers: [{ type: 'TEXT', value: 'x' }],
      });
      for (const [name, payload] of [
        ['other', 1],
        ['go', { ok: false }],
        ['go', { ok: true, text: 'Thanks' }],
      ] as const) {
        await flows.deliver({ journeyId: legacyId, name, payload });
      }
      return { journey: legacyId, conversation: conversation.id };
    }

    /** One claim, and its work in a child; undefined when nothing is to be done. The number of statements, or that it was killed. */
    async function work({ journey }: Made, killAfter: number): Promise<number | 'killed' | undefined> {
      const { rows } = await client.query(
        `update lane set leased_until = now() + interval '60 s', fence = nextval('lane_fence'), attempts = attempts + 1
       where kind = 'journey' and id = $1 and due_at <= now()
       returning kind, id, version::text, fence::text, attempts`,
        [journey],
      );
      if (rows.length === 0) return undefined;
      const env = {
        DATABASE_URL: app.database.url,
        ROLE: 'gateway',
        PORT: '0',
        NODE_ENV: 'test',
        JWT_SECRET: testSecrets.jwtSecret,
        SECRETS_KEY: testSecrets.secretsKey,
        DATA_DIR: app.dataDir,
      };
      try {
        const { stdout } = await promisify(execFile)(
          process.execPath,
          [child, JSON.stringify(rows[0]), String(killAfter)],
          { env },
        );
        return Number(stdout);
      } catch (error) {
        if ((error as { signal?: string }).signal === 'SIGKILL') return 'killed';
        throw error;
      }
    }

    /** All that is left of it, without ids, times and the number of transactions: on a slow machine a slice is shorter. */
    async function traceOf({ journey, conversation }: Made): Promise<unknown> {
      const found = async (text: string, id: string) => (await client.query(text, [id])).rows;
      return {
        journey: await found(
          `select status, reason, step_id, waiting, wake_at, vars, event, steps, steps_run, looked_at, next_event,
           ended_at is not null ended from journey where id = $1`,
          journey,
        ),
        events: await found(
          'select seq, name, payload, consumed_at is not null consumed from journey_event where journey_id = $1 order by seq',
          journey,
        ),
        identifiers: await found('select active from journey_identifier where journey_id = $1', journey),
        lanes: await found(`select 1 from lane where kind = 'journey' and id = $1`, journey),
        messages: await found(
          `select content, sequence, sender_type, delivery_state from message
         where conversation_id = $1 and not from_contact order by sequence`,
          conversation,
        ),
        deliveries: await found(
          `select version::int, attempts from lane where kind = 'conversation' and id = $1`,
          conversation,
        ),
        conversation: await found(
          'select listeners, next_sequence, message_count from conversation where id = $1',
          conversation,
        ),
      };
    }

    it('comes to the same rows as without a kill', async () => {
      const undisturbed = await journeyWithEvents();
      const statements = (await work(undisturbed, 0)) as number;
      expect(statements).toBeGreaterThan(15);
      const expected = await traceOf(undisturbed);
      expect(expected).toMatchObject({
        journey: [{ status: 'COMPLETED', reason: 'n = 2', step_id: 'end', ended: true }],
        messages: [{ content: { text: 'Hello Ada' } }, { content: { text: 'Thanks' } }],
        lanes: [],
        conversation: [{ listeners: 0 }],
      });

      const killedAfter = Array.from({ length: statements }, (_, index) => index + 1).filter((at) => at % one.in === 0);
      const made = await Promise.all(killedAfter.map(journeyWithEvents));
      const queue = made.map((place, index) => [place, killedAfter[index]!] as const);
      const runOne = async () => {
        for (let next = queue.shift(); next; next = queue.shift()) {
          const [place, killAfter] = next;
          expect([killAfter, await work(place, killAfter)]).toEqual([killAfter, 'killed']);
          // Its lease would end by itself after a minute.
          await client.query(`update lane set leased_until = now() where kind = 'journey' and id = $1`, [
            place.journey,
          ]);
          await work(place, 0);
          expect([killAfter, await traceOf(place)]).toEqual([killAfter, expected]);
        }
      };
      await Promise.all(Array.from({ length: atOnce }, runOne));
    }, 300_000);
  });
}

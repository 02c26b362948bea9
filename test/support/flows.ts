import { sql } from 'kysely';
import { rows } from '../../src/domain/statement.ts';
import type { App, Json } from './app.ts';
import { until } from './until.ts';

export const journeyFields = `id legacyId flowNumber status reason stepId waitingFor wakeAt vars start endedAt link
  events { sequence name payload consumedAt } identifiers { type value }
  conversation { legacyId } contact { legacyId }`;

/** Flows and journeys as an administrator handles them. */
export async function flowsOf(app: App) {
  const { token } = await app.make.admin();
  const ask = async (document: string, variables: Record<string, unknown>): Promise<Json> =>
    Object.values(await app.data(document, variables, token))[0];
  const journeyNow = (id: string) => ask(`query ($id: ID!) { journey(id: $id) { ${journeyFields} } }`, { id });
  let made = 0;

  const flows = {
    ask,
    /** A flow with a draft; its id. */
    async create(steps: object[], start = (steps[0] as { id: string }).id): Promise<string> {
      made += 1;
      const { flow } = await ask('mutation ($input: CreateFlowInput!) { createFlow(input: $input) { flow { id } } }', {
        input: { name: `flow ${made}`, definition: { start, steps } },
      });
      return flow.id;
    },
    async publish(flowId: string): Promise<number> {
      const { version } = await ask(
        'mutation ($input: FlowInput!) { publishFlow(input: $input) { version { number } } }',
        { input: { flowId } },
      );
      return version.number;
    },
    async published(steps: object[]): Promise<string> {
      const flowId = await flows.create(steps);
      await flows.publish(flowId);
      return flowId;
    },
    async start(flowId: string, more: Record<string, unknown> = {}): Promise<Json> {
      const { journey } = await ask(
        `mutation ($input: StartJourneyInput!) { startJourney(input: $input) { journey { ${journeyFields} } } }`,
        { input: { flowId, ...more } },
      );
      return journey;
    },
    async deliver(input: Record<string, unknown>): Promise<Json> {
      const { journey } = await ask(
        'mutation ($input: DeliverJourneyEventInput!) { deliverJourneyEvent(input: $input) { journey { id status } } }',
        { input },
      );
      return journey;
    },
    abort: (journeyId: string, reason?: string): Promise<Json> =>
      ask(
        `mutation ($input: AbortJourneyInput!) { abortJourney(input: $input) { changed journey { ${journeyFields} } } }`,
        { input: { journeyId, reason } },
      ),
    now: ({ id }: { id: string }): Promise<Json> => journeyNow(id),
    /** The journey once it has ended. */
    ended: ({ id }: { id: string }): Promise<Json> =>
      until(async () => {
        const now = await journeyNow(id);
        return now.status === 'ACTIVE' ? undefined : now;
      }),
    /** The journey once a step of it waits. */
    waiting: ({ id }: { id: string }, stepId?: string): Promise<Json> =>
      until(async () => {
        const now = await journeyNow(id);
        if (now.status !== 'ACTIVE') throw new Error(`it has ended: ${JSON.stringify(now)}`);
        const waits = now.waitingFor !== null || now.wakeAt !== null;
        return waits && (stepId === undefined || now.stepId === stepId) ? now : undefined;
      }),
    /** Runs one journey of these steps to its end. */
    async run(steps: object[], more: Record<string, unknown> = {}): Promise<Json> {
      return flows.ended(await flows.start(await flows.published(steps), more));
    },
  };
  return flows;
}

/** Lets time pass for what waits: all due times come nearer by it, as if the database's clock had moved. */
export async function passTime(app: App, seconds: number): Promise<void> {
  const by = sql`make_interval(secs => ${seconds}::float8)`;
  await rows(
    app.core.em.fork(),
    sql`with journeys as (update journey set wake_at = wake_at - ${by} where wake_at is not null)
        update lane set due_at = due_at - ${by} where kind = 'journey'`,
  );
  app.core.wakeups.hint('lane');
}

/** The token of a link to a journey that waits, in a conversation of its own in that channel. */
export async function journeyToken(app: App, channelId: string): Promise<string> {
  const flows = await flowsOf(app);
  const { token } = await app.make.admin();
  const send =
    'mutation ($input: SendMessageInput!) { sendMessage(input: $input) { message { conversation { id } } } }';
  const recipient = { channelId, sourceRecipientId: 'somebody' };
  const { sendMessage } = await app.data(send, { input: { recipient, text: 'Hello' } }, token);
  const flowId = await flows.published([{ id: 'wait', type: 'wait', for: 'duration', duration: 'PT1H' }]);
  const { link } = await flows.start(flowId, { conversationId: sendMessage.message.conversation.id });
  const linkToken = String(link).split('/').at(-1);
  const open = 'mutation ($input: OpenJourneyLinkInput!) { openJourneyLink(input: $input) { token } }';
  return (await app.graphql(open, { input: { linkToken } })).body.data.openJourneyLink.token;
}

import { createTestDatabase } from '../support/database.ts';
import { until } from '../support/until.ts';
import { GatewayProcess, prepareGround } from './gateway-process.ts';
import { compareHeard, InboxSubscriber, readLog, reorderedConversations } from './inbox-subscriber.ts';
import { report, type Verdict, verify } from './verifier.ts';
import { percentile, WebhookLoad } from './webhook-load.ts';

export interface KillForm {
  kills: number;
  /** Acknowledged batches between a start and the next kill, at least and at most. */
  acksBetween: [number, number];
  /** Load: batches of 5 messages. */
  perSecond: number;
  writers: number;
  conversations: number;
  seed: number;
}

export interface KillResult {
  verdict: Verdict;
  heard: ReturnType<typeof compareHeard>;
  reordered: string[];
  resets: string[];
  faults: string[];
  /** How often the subscriber was let in. */
  joined: number;
  /** From the start of each process to the first acknowledged batch, ms. */
  firstAckMs: number[];
}

/**
 * F1: kills the gateway again and again while webhooks come in, in the middle of a request, and starts it again.
 * Writers retry; a subscriber comes back with its cursor. Ends when everything has settled.
 */
export async function killGateway(form: KillForm): Promise<KillResult> {
  const database = await createTestDatabase();
  const gateway = await GatewayProcess.start({ databaseUrl: database.url });
  const ground = await prepareGround(gateway);
  const subscriber = new InboxSubscriber(gateway.wsUrl, { token: ground.adminToken, after: ground.cursor });
  const load = new WebhookLoad({ urls: [gateway.url], ground, ...form });
  const firstAckMs: number[] = [];
  for (let kill = 0; kill < form.kills; kill += 1) {
    const [least, most] = form.acksBetween;
    const acks = load.acks + least + Math.round(((most - least) * kill) / Math.max(1, form.kills - 1));
    await load.reached(() => load.acks >= acks);
    // At the next try's send: its request is on the way or in a transaction.
    const { sends } = load;
    await load.reached(() => load.sends > sends);
    await gateway.kill();
    const startedAt = performance.now();
    const before = load.acks;
    await Promise.all([
      gateway.start(),
      load.reached(() => load.acks > before).then(() => firstAckMs.push(performance.now() - startedAt)),
    ]);
  }
  const { acks } = load;
  await load.reached(() => load.acks >= acks + form.acksBetween[0]);
  const ledger = await load.stop();
  const verdict = await verify(ledger, {
    databaseUrl: database.url,
    sourceId: ground.source.sourceId,
    api: { url: gateway.url, token: ground.adminToken },
  });
  const log = await readLog(database.url, ground.cursor);
  await until(async () => subscriber.heard.length >= log.length).catch(() => undefined);
  subscriber.close();
  const result = {
    verdict,
    heard: compareHeard(subscriber.heard, log),
    reordered: reorderedConversations(log),
    resets: subscriber.resets,
    faults: subscriber.faults,
    joined: subscriber.joined,
    firstAckMs,
  };
  await gateway.kill();
  await database.drop();
  const slowest = Math.max(...firstAckMs).toFixed(0);
  const unanswered = ledger.refusals.get(0) ?? 0;
  report(
    `F1 ${form.kills} kills`,
    verdict,
    ledger,
    gateway.peakRssMb,
    `p50=${percentile(ledger.latencies, 0.5).toFixed(0)}ms unanswered=${unanswered} events=${log.length} first-ack<=${slowest}ms`,
  );
  return result;
}

/**
 * The same load against a gateway that skips its commits, one kill included: what the verifier says of it. It must
 * not be flawless, else it would not see lost work either.
 */
export async function killWithoutCommit(
  form: Pick<KillForm, 'perSecond' | 'writers' | 'conversations'>,
): Promise<Verdict> {
  const database = await createTestDatabase();
  const gateway = await GatewayProcess.start({ databaseUrl: database.url });
  const ground = await prepareGround(gateway);
  await gateway.kill();
  await gateway.start({ nodeArgs: ['--import', './test/faults/skip-commit.js'] });
  const load = new WebhookLoad({ urls: [gateway.url], ground, ...form, seed: 2 });
  await load.reached(() => load.acks >= 20);
  await gateway.kill();
  await gateway.start();
  const ledger = await load.stop();
  const verdict = await verify(ledger, {
    databaseUrl: database.url,
    sourceId: ground.source.sourceId,
    api: { url: gateway.url, token: ground.adminToken },
  });
  await gateway.kill();
  await database.drop();
  report('F1 without commit', verdict, ledger, gateway.peakRssMb);
  return verdict;
}

import type { Writable } from 'node:stream';
import { type Action, type ActionAnswer, type ActionCall, openActionEndpoint } from './action-endpoint.ts';
import { getEndpoint, registerEndpoint } from './endpoint-registration.ts';
import { CliFailure } from './failure.ts';
import { GatewayClient, type GatewayOptions } from './gateway-client.ts';
import { listedChannels, newToken } from './source-access.ts';
import { SourceState } from './source-state.ts';
import { aborted, clockTime, parleyCommand, printable, printLine } from './terminal.ts';

export interface ListenOptions extends GatewayOptions {
  sourceId: string;
  host: string;
  /** 0 takes a free one. */
  port: number;
  /** What every verified call is answered with. */
  status: number;
  sourceToken?: string;
  /** `whsec_...`: checks the Standard Webhooks headers as well. */
  signingSecrets: string[];
  rotate: boolean;
  dataDir: string;
  out: Writable;
  /** Set by Ctrl-C. */
  signal: AbortSignal;
  /** Told once the gateway knows the address. */
  onReady?: (url: string) => void;
  onCall?: (call: ActionCall) => void;
}

/**
 * Stands in for the bridge of a source: takes its action calls, verifies and prints them, and answers. The former action
 * endpoint comes back when the signal is set.
 *
 * @throws CliFailure when the source is unknown, its token is not known or the gateway refuses the address
 */
export async function listenForActions(options: ListenOptions): Promise<void> {
  const { out, signal, sourceId, status } = options;
  const client = new GatewayClient(options);
  const token = await verifyingToken(client, options);
  const endpoint = await openActionEndpoint({
    host: options.host,
    port: options.port,
    keys: () => ({ token, signingSecrets: options.signingSecrets }),
    onCall: (call) => {
      const given = answerTo(call.action, status);
      printCall(out, call, given);
      options.onCall?.(call);
      return given;
    },
  });
  try {
    const registration = await registerEndpoint(client, { sourceId, endpoint, out });
    printLine(out, `Listening as ${printable(sourceId)} on ${endpoint.url}, answering ${status}. Ctrl-C ends it.`);
    options.onReady?.(endpoint.url);
    await aborted(signal);
    await registration.restore();
  } finally {
    await endpoint.close();
  }
}

/** Undefined only when a signing secret alone was given to verify with. */
async function verifyingToken(client: GatewayClient, options: ListenOptions): Promise<string | undefined> {
  const { sourceId, rotate, sourceToken, signingSecrets, dataDir, out } = options;
  // Registering asks it again: better to fail before a token is rotated.
  await getEndpoint(client, sourceId);
  const state = await SourceState.load(dataDir, sourceId);
  if (rotate) {
    const token = await newToken({ client, state, source: { source_id: sourceId } });
    printLine(out, `Made a new token for ${printable(sourceId)}; the old one ended, it is kept in ${state.shownPath}.`);
    return token;
  }
  const token = sourceToken ?? state.token;
  const again = parleyCommand(['listen', sourceId, '--rotate', '--token', '...']);
  if (token === undefined) {
    if (signingSecrets.length > 0) return undefined;
    throw new CliFailure(
      `The token of "${printable(sourceId)}" is not known here: give --source-token or --secret, or make a new one ` +
        `(the old one ends with it):\n  ${again}`,
    );
  }
  if (await listedChannels({ client, attempt: (call) => call() }, token)) return token;
  const which = sourceToken === undefined ? `The token kept in ${state.shownPath}` : 'The --source-token';
  throw new CliFailure(
    `${which} is not the present one of "${printable(sourceId)}". A new one can be made:\n  ${again}`,
  );
}

function answerTo(action: Action | undefined, status: number): ActionAnswer {
  if (status !== 200) return { status, body: { error: `parley listen was told to answer ${status}` } };
  // From the message's id, so that a repeated call gets the same answer.
  return { status, body: { source_message_id: `listen-${action?.payload.message.id}` } };
}

function printCall(out: Writable, { isVerified, doubt, action }: ActionCall, given: ActionAnswer): void {
  const time = clockTime(new Date());
  if (!isVerified) {
    printLine(out, `${time}  *** NOT VERIFIED: ${doubt}. Answered 401. ***`);
    return;
  }
  if (!action) {
    printLine(out, `${time}  verified, but not an action of the known shape. Answered 400.`);
    return;
  }
  const { message, conversation } = action.payload;
  const to = printable(message.source_recipient_id ?? conversation?.source_conversation_id ?? '?', 60);
  const content = printable(JSON.stringify(message.content) ?? '', 300);
  printLine(out, `${time}  ${printable(action.type)}  ${message.id}  to ${to}  ${content}  answered ${given.status}`);
}

import type { Writable } from 'node:stream';
import { z } from 'zod';
import { GatewayClient, type GatewayOptions } from './gateway-client.ts';
import { printable, printLine } from './terminal.ts';

export interface CompatReportOptions extends GatewayOptions {
  days: number;
  json: boolean;
  out: Writable;
}

const document = `query ($days: Int!) {
  legacyCalls(days: $days) { name field callerKind callerName calls lastAt } }`;

const answer = z.object({
  legacyCalls: z.array(
    z.object({
      name: z.string(),
      field: z.string(),
      callerKind: z.string(),
      callerName: z.string().nullable(),
      calls: z.number(),
      lastAt: z.string(),
    }),
  ),
});
type Call = z.infer<typeof answer>['legacyCalls'][number];

/** Prints which calls of the older contracts are still made, how often, when last and by whom. */
export async function reportLegacyCalls({ days, json, out, ...gateway }: CompatReportOptions): Promise<void> {
  const { legacyCalls } = await new GatewayClient(gateway).graphql(document, { days }, answer);
  if (json) {
    for (const call of legacyCalls) printLine(out, JSON.stringify(call));
    return;
  }
  const last = days === 1 ? 'today' : `in the last ${days} days`;
  if (legacyCalls.length === 0) {
    printLine(out, `Nobody made a call of the older contracts ${last}.`);
    return;
  }
  printLine(out, `Calls of the older contracts ${last}, and the GraphQL field that replaces each:`);
  for (const calls of byName(legacyCalls)) {
    const [{ name, field }] = calls as [Call];
    const total = calls.reduce((sum, one) => sum + one.calls, 0);
    printLine(out, '');
    printLine(out, `${name} -> ${field}   ${counted(total)}`);
    for (const call of calls) {
      printLine(
        out,
        `  ${call.lastAt.slice(0, 16).replace('T', ' ')}  ${String(call.calls).padStart(8)}  ${callerOf(call)}`,
      );
    }
  }
}

// The most frequent first, as they come.
function byName(calls: readonly Call[]): Call[][] {
  return [...Map.groupBy(calls, ({ name }) => name).values()];
}

function callerOf({ callerKind, callerName }: Call): string {
  if (callerKind === 'ANONYMOUS') return 'nobody signed in';
  return `${callerKind.toLowerCase()} ${callerName === null ? 'that is gone' : printable(callerName)}`;
}

function counted(calls: number): string {
  return calls === 1 ? '1 call' : `${calls.toLocaleString('en')} calls`;
}

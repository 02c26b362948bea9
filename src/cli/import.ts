import type { Readable, Writable } from 'node:stream';
import { BatchSender, type Tally } from './batch-sender.ts';
import { defaultUrl, GatewayClient, type GatewayOptions } from './gateway-client.ts';
import { retrying, sendAndKeep } from './kept-sending.ts';
import { openLines } from './line-reader.ts';
import { Position } from './position.ts';
import { openProgress, spokenCount } from './progress.ts';
import { openSource, type SourceAccess } from './source-access.ts';
import { SourceState } from './source-state.ts';
import { parleyCommand, printable, printLine } from './terminal.ts';

export interface ImportOptions extends GatewayOptions {
  /** `-` is standard input, of which no position is kept. */
  file: string;
  source: string;
  rotate: boolean;
  concurrency: number;
  dataDir: string;
  out: Writable;
  /** Set by Ctrl-C. */
  signal: AbortSignal;
  stdin?: Readable;
}

/** What one run did; lines that an earlier run sent count as skipped. */
export interface ImportSummary {
  lines: number;
  skippedLines: number;
  messagesCreated: number;
  duplicates: number;
  conversations: number;
  seconds: number;
  isInterrupted: boolean;
}

/**
 * Sends a file of sources.webhook bodies, one per line, as a source of its own. What the gateway acknowledged is kept
 * in `DATA_DIR/import/<source>.json`, so that an interrupted import goes on and a finished one sends nothing again.
 *
 * @throws CliFailure for a file that cannot be read, a line that the gateway refuses, a token that is missing
 */
export async function importFile(options: ImportOptions): Promise<ImportSummary> {
  const { out, signal } = options;
  const startedAt = Date.now();
  const state = await SourceState.load(options.dataDir, options.source);
  const file = await openLines(options.file, options.stdin ?? process.stdin);
  const client = new GatewayClient(options);
  const view = openProgress(out);
  const attempt = retrying(view, signal);
  try {
    const access = await openSource({
      client,
      state,
      source: { source_id: options.source },
      rotate: options.rotate,
      commandWithRotate: commandOf(options),
      attempt,
    });
    tellAccess(out, options.source, access, state);
    const before = file.key ? state.positionOf(file.key) : { position: new Position(), isFinished: false };
    if (before.isFinished) return tellNothingToDo(options, before.position, startedAt, state);
    tellPosition(out, before.position);

    const sender = new BatchSender({ client, access, attempt });
    const skippedLines = await sendAndKeep({
      lines: file.lines,
      sender,
      position: before.position,
      state,
      key: file.key,
      concurrency: options.concurrency,
      signal,
      view,
      done: () => (file.totalBytes ? Math.min(1, file.bytesRead() / file.totalBytes) : undefined),
    });
    view.end();
    const summary = summaryOf(sender.tally, skippedLines, startedAt, signal.aborted);
    tellSummary(out, summary);
    return summary;
  } finally {
    view.end();
  }
}

/** Says once what happened to the token of the source. */
export function tellAccess(out: Writable, sourceId: string, access: SourceAccess, state: SourceState): void {
  const kept = `its token is kept in ${state.shownPath}`;
  if (access.how === 'created') printLine(out, `Made the source "${printable(sourceId)}"; ${kept}.`);
  if (access.how === 'rotated') {
    printLine(out, `Made a new token for the source "${printable(sourceId)}"; the old one ended, ${kept}.`);
  }
}

function commandOf({ file, source, url }: ImportOptions): string {
  const words = ['import', file, '--source', source];
  if (url !== defaultUrl) words.push('--url', url);
  return parleyCommand([...words, '--rotate', '--token', '...']);
}

function tellPosition(out: Writable, position: Position): void {
  if (position.acknowledged === 0 && position.beyond.length === 0) return;
  printLine(out, `Going on after line ${spokenCount(position.acknowledged)}, which was the last one acknowledged.`);
}

function tellNothingToDo(
  options: ImportOptions,
  position: Position,
  startedAt: number,
  state: SourceState,
): ImportSummary {
  const lines = position.acknowledged;
  printLine(
    options.out,
    `Nothing to send: all ${spokenCount(lines)} lines of this file were acknowledged before (${state.shownPath}).`,
  );
  const nothing: Tally = { lines: 0, messagesCreated: 0, duplicates: 0, conversations: new Set() };
  return summaryOf(nothing, lines, startedAt, false);
}

function summaryOf(tally: Tally, skippedLines: number, startedAt: number, isInterrupted: boolean): ImportSummary {
  return {
    lines: tally.lines,
    skippedLines,
    messagesCreated: tally.messagesCreated,
    duplicates: tally.duplicates,
    conversations: tally.conversations.size,
    seconds: (Date.now() - startedAt) / 1000,
    isInterrupted,
  };
}

function tellSummary(out: Writable, summary: ImportSummary): void {
  const { lines, skippedLines, messagesCreated, duplicates, conversations, seconds } = summary;
  const skipped = skippedLines > 0 ? `, ${spokenCount(skippedLines)} were sent before` : '';
  const rate = lines / Math.max(seconds, 0.001);
  if (summary.isInterrupted) printLine(out, 'Stopped. Run the same command again to go on.');
  printLine(out, `Lines          ${spokenCount(lines)} sent${skipped}`);
  printLine(out, `Messages       ${spokenCount(messagesCreated)} created, ${spokenCount(duplicates)} duplicates`);
  printLine(out, `Conversations  ${spokenCount(conversations)}`);
  printLine(out, `Time           ${seconds.toFixed(1)} s, ${rate.toFixed(rate < 10 ? 1 : 0)} lines/s`);
  if (lines > 0 && messagesCreated === 0 && duplicates > 0)
    printLine(out, 'The gateway had every message already: nothing was added.');
}

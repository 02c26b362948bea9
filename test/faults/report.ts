// Writes the table of docs/faults.md from what `plan.ts` kept: node test/faults/report.ts
import { readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { type FileRun, readRuns } from './plan-runs.ts';

/** The fault plan in short: what happens, and what has to hold. */
const plan: Record<string, [fault: string, passes: string]> = {
  F1: ['gateway killed 20 times', 'first answer <= 3 s after a start; subscribers without a gap'],
  F2: ['postmaster killed 5 times, back after 3 s', '503 within 2 s meanwhile; answers and LISTEN back <= 5 s'],
  F3: ['action endpoint in 23 bad modes', 'attempt <= 15.5 s; <= 256 KiB read; healthy source p99 <= 2x'],
  F4: ['duplicate webhooks', 'one row and one event each, first content; all 2xx'],
  F5: ['10,000 messages out of order, early metadata', 'order, last message, unread exact; metadata applied'],
  F6: ['two gateways, one killed in mid delivery', 'events <= 500 ms; only attempts in flight repeat'],
  F7: ['clock +10 min, -10 min, +1 day, -30 s', 'no early or double retry; tokens 60 s leeway; no hang'],
  F8: ['a socket that does not read, 300 MB published', 'RSS growth <= 32 MB; 1013 and resume; others p99 <= 250 ms'],
  F9: ['3,000 silent connections, slow clients', 'p99 <= 250 ms; silent ones closed <= 15 s, sockets <= 5 s'],
  F10: ['10,000 idle subscribers, then events for 100', 'RSS <= 30 KB each; p99 <= 150 ms; ingest -15 % at most'],
  F11: ['SIGTERM under load, 20 times', '503 at once, 1001, exit 0 <= 10 s; only 200 and 503'],
  F12: ['disk full, then freed', '503; alive; answers again <= 10 s'],
  F13: [
    'migration at 1 M messages and 100 requests/s',
    'no failed request; lock wait <= 500 ms; down and up give the same',
  ],
  F14: ['database slow, cut, silent for 30 s, pool used up', '503 <= 5 s; pool wait <= 2 s; well again <= 5 s'],
  F15: ['poison jobs before 1,000 good ones', 'good ones within 1.2x; poison FAILED and replayable'],
  F16: ['a gateway stopped for 90 s', 'the other takes over; terminal state once'],
  F17: ['3 times the sustainable rate, 60 s', '429 or 503; accepted p99 <= 1 s; RSS <= 1.5x; normal <= 5 s after'],
  F18: ['30 minutes at half load', 'RSS <= 1 MB/min over the last 20 min; handles flat; jobs back to 0'],
};
const file = fileURLToPath(new URL('../../docs/faults.md', import.meta.url));
const [start, end] = ['<!-- table -->', '<!-- end of table -->'];

const runs = readRuns();
const document = readFileSync(file, 'utf8');
const from = document.indexOf(start) + start.length;
const to = document.indexOf(end);
if (from < start.length || to < 0) throw new Error(`docs/faults.md must keep the lines ${start} and ${end}`);
writeFileSync(file, `${document.slice(0, from)}\n\n${table()}\n${document.slice(to)}`);

function table(): string {
  const minutes = Math.ceil(runs.reduce((sum, { seconds }) => sum + seconds, 0) / 60);
  const dates = [...new Set(runs.map(({ date }) => date))].sort();
  const machines = [...new Set(runs.map(({ machine }) => machine))];
  const rows = Object.entries(plan).map(
    ([id, [fault, passes]]) => `| ${id} | ${fault} | ${passes} | ${figuresOf(id).join('<br>')} | ${outcomeOf(id)} |`,
  );
  return `\`npm run test:long\`, ${dates.join(' to ')}, ${minutes} minutes; ${machines.join('; ')}.

| | Fault | Passes when, beside lost 0 and dup 0 | Figures | |
| --- | --- | --- | --- | --- |
${rows.join('\n')}
`;
}

function idsIn(text: string): string[] {
  return [...text.matchAll(/\bF\d+\b/g)].map(([id]) => id);
}

function figuresOf(id: string): string[] {
  const lines = runs.flatMap(({ figures }) => figures);
  return lines
    .filter((line) => idsIn(line)[0] === id)
    .map((line) => line.slice(id.length).trim().replaceAll('|', '\\|'));
}

/** A test that names no check belongs to all of its file. */
function testsOf(id: string, { tests, figures }: FileRun): FileRun['tests'] {
  const ofFile = new Set([...tests.map(({ name }) => name), ...figures].flatMap(idsIn));
  return tests.filter(({ name }) => {
    const own = idsIn(name);
    return own.length > 0 ? own.includes(id) : ofFile.has(id);
  });
}

function outcomeOf(id: string): string {
  const outcomes = runs.flatMap((run) => testsOf(id, run)).map(({ outcome }) => outcome);
  if (outcomes.length === 0) return 'not run';
  if (outcomes.includes('failed')) return '**failed**';
  return outcomes.includes('skipped') ? 'in part' : 'passed';
}

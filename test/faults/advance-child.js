// Works one claimed lane of a journey in a process of its own, which kills itself once so many of its statements are done:
// node advance-child.js <claimed lane as JSON> <statements, 0: none>. Prints how many there were.
import pg from 'pg';
import { pino } from 'pino';
import { loadSettings } from '../../dist/config.js';
import { workLane } from '../../dist/domain/jobs.js';
import { start } from '../../dist/main.js';

const [lane, killAfter] = [JSON.parse(process.argv[2]), Number(process.argv[3])];
const { core } = await start(loadSettings(process.env), { log: pino({ level: 'silent' }), durability: 'ignore' });

// Those of the process itself come at any time: its feed, its listening, its look at the migrations.
const ofTheProcess = /\bfrom event\b|\bevent_log\b|^listen|^notify|pg_notify|mikro_orm/i;
let done = 0;
const { handleCommandComplete } = pg.Query.prototype;
pg.Query.prototype.handleCommandComplete = function count(...given) {
  const result = handleCommandComplete.apply(this, given);
  if (!ofTheProcess.test(this.text ?? '')) {
    done += 1;
    if (done === killAfter) process.kill(process.pid, 'SIGKILL');
  }
  return result;
};
await workLane(core, { ...lane, version: BigInt(lane.version), fence: BigInt(lane.fence) }, performance.now());
process.stdout.write(`${done}\n`, () => process.exit(0));

/**
 * The load generator, a process of its own: takes one load after the other from its parent and answers each with a
 * result. It also is the action endpoint of the bench's source.
 */
import { startActionEndpoint } from './driver/action-endpoint.ts';
import { closedLoop } from './driver/closed-loop.ts';
import { copyLoad } from './driver/copy-load.ts';
import { fanOut } from './driver/fan-out.ts';
import type { DriverMessage, Load, LoadResult, Phase } from './driver/protocol.ts';

const endpoint = await startActionEndpoint();
const tell = (message: DriverMessage) => process.send?.(message);

function run(load: Load, onPhase: (phase: Phase) => void): Promise<LoadResult> {
  switch (load.task) {
    case 'closed':
      return closedLoop(load, endpoint, onPhase);
    case 'fan':
      return fanOut(load, onPhase);
    case 'copy':
      return copyLoad(load, onPhase);
  }
}

process.on('message', async ({ id, load }: { id: number; load: Load }) => {
  try {
    tell({ id, result: await run(load, (phase) => tell({ id, phase })) });
  } catch (error) {
    tell({ id, error: error instanceof Error ? (error.stack ?? error.message) : String(error) });
  }
});
process.once('disconnect', () => process.exit(0));
tell({ ready: true, actionUrl: endpoint.url });

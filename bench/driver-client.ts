import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import type { DriverMessage, Load, LoadResult, Phase } from './driver/protocol.ts';
import { projectDir } from './postgres.ts';
import { atEnd } from './processes.ts';

export type OnPhase = (phase: Phase) => void;

/** The driver's process, as the bench uses it: one load at a time. */
export interface Driver {
  actionUrl: string;
  /** @throws Error when the load could not be run at all */
  run(load: Load, onPhase: OnPhase): Promise<LoadResult>;
  stop(): void;
}

/** Beyond its seconds, what a load may take: connecting, walking, waiting for the last answers. */
const extraMs = 120_000;

export async function startDriver(): Promise<Driver> {
  // Advanced: JSON would make null of NaN.
  const child = fork(join(projectDir, 'bench/driver.ts'), [], { serialization: 'advanced' });
  const forget = atEnd(() => void child.kill('SIGKILL'));
  const [first] = (await once(child, 'message')) as [Extract<DriverMessage, { ready: true }>];
  let loads = 0;
  return {
    actionUrl: first.actionUrl,
    async run(load, onPhase) {
      loads += 1;
      const answered = answerTo(child, loads, onPhase, load.seconds * 1_000 + extraMs);
      child.send({ id: loads, load });
      return answered;
    },
    stop() {
      child.kill('SIGTERM');
      forget();
    },
  };
}

function answerTo(child: ChildProcess, id: number, onPhase: OnPhase, withinMs: number): Promise<LoadResult> {
  return new Promise((resolve, reject) => {
    const end = (settle: () => void) => {
      clearTimeout(timer);
      child.off('message', onMessage).off('exit', onExit);
      settle();
    };
    const onMessage = (message: DriverMessage) => {
      if (!('id' in message) || message.id !== id) return;
      if ('phase' in message) onPhase(message.phase);
      else end(() => ('result' in message ? resolve(message.result) : reject(new Error(message.error))));
    };
    const onExit = () => end(() => reject(new Error('the driver ended')));
    const timer = setTimeout(() => end(() => reject(new Error('the driver does not answer'))), withinMs);
    child.on('message', onMessage).once('exit', onExit);
  });
}

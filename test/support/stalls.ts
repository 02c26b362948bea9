/**
 * The longest turn of the event loop from now on, in ms of this thread's own CPU: what other programs take does not count.
 *
 * @returns ends the watch and tells it
 */
export function watchStalls(): () => number {
  let worst = 0;
  let last = process.threadCpuUsage();
  const look = () => {
    const used = process.threadCpuUsage(last);
    worst = Math.max(worst, (used.user + used.system) / 1_000);
    last = process.threadCpuUsage();
  };
  const timer = setInterval(look, 1);
  return () => {
    look();
    clearInterval(timer);
    return worst;
  };
}

import type { Core } from './context.ts';

/** What a process has once for each core, made when it is first asked for. */
export function perCore<Value>(make: (core: Core) => Value): (core: Core) => Value {
  const made = new WeakMap<Core, Value>();
  return (core) => {
    let value = made.get(core);
    if (value === undefined) {
      value = make(core);
      made.set(core, value);
    }
    return value;
  };
}

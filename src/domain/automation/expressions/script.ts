/** A fault of an expression or template; position is 1-based in characters of the source, undefined when it has none. */
export interface ScriptFault {
  message: string;
  position?: number;
}

export type Outcome<T = unknown> = { ok: true; value: T } | { ok: false; fault: ScriptFault };

/** Where a template's text goes: decides how values are escaped. */
export type TemplatePlace = 'text' | 'html' | 'url' | 'header' | 'json';

export type Script =
  | { kind: 'expression'; source: string }
  | { kind: 'template'; source: unknown; place: TemplatePlace };

/** What is asked of the process that runs scripts. */
export type Task = 'check' | 'run' | 'unknownVariables';

/** `bindings` is JSON text: it is read anew for each script, so that none can change what the next one sees. */
export interface Request {
  id: number;
  task: Task;
  scripts: Script[];
  bindings: string;
}

/** One for each script of a request, in order. */
export interface Reply {
  id: number;
  outcome: Outcome;
}

export const maxExpressionBytes = 4_096;
export const maxTemplateBytes = 65_536;
export const maxBindingsBytes = 262_144;
export const maxOutputBytes = 262_144;
/** Of what comes in and of what goes out: arrays and objects inside each other. */
export const maxDepth = 64;
/** A message may quote values of the bindings; nobody reads more of it. */
const longestMessage = 500;

/** Thrown inside the process that runs scripts; becomes the fault of an outcome. */
export class ScriptError extends Error {
  readonly position: number | undefined;

  constructor(message: string, position?: number) {
    super(message);
    this.position = position;
  }
}

export function faultOf({ message, position }: ScriptFault): ScriptFault {
  const text = message.length > longestMessage ? `${message.slice(0, longestMessage).toWellFormed()}...` : message;
  return position === undefined ? { message: text } : { message: text, position };
}

const plainWords: [said: string, meant: string][] = [
  ['Maximum call stack', 'it is nested too deeply'],
  ['Invalid string length', 'a text grew too long'],
  ['Cannot convert object to primitive', 'an object is no text: name a field of it, or write it with the filter json'],
  ['circular structure', 'a function cannot be written as a text'],
];

/** What V8 says of a fault, in the words of the one who wrote the script. */
export function inPlainWords(message: string): string {
  return plainWords.find(([said]) => message.includes(said))?.[1] ?? message;
}

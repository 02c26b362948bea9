/** A fault of an expression or template; `position` is 1-based in characters of its source, where one is known. */
export interface ScriptFault {
  message: string;
  position?: number;
}

export type Outcome<T = unknown> = { ok: true; value: T } | { ok: false; fault: ScriptFault };

/** Where a template's text goes: decides how values are escaped. */
export type TemplatePlace = 'text' | 'html' | 'url' | 'header' | 'json';

/**
 * What a user wrote. The source of a template is a text; with the place `json` any JSON value, whose texts are templates.
 */
export type Script =
  | { kind: 'expression'; source: string }
  | { kind: 'template'; source: unknown; place: TemplatePlace };

/** What a worker is asked. */
export type Asked =
  | { do: 'check'; scripts: Script[] }
  | { do: 'run'; scripts: Script[]; bindings: string }
  | { do: 'variables'; scripts: Script[] };

/** Its answers come one by one, so that what was done before a hostile script counts. */
export interface Answer {
  index: number;
  outcome: Outcome;
}

export const mostSource = { expression: 4_096, template: 65_536 } as const;
/** Of all namespaces together, and of a value, as JSON. */
export const mostInput = 262_144;
export const mostOutput = 262_144;

/** An answer that ends a script: its text is for whoever wrote it. */
export class ScriptFailed extends Error {
  readonly position: number | undefined;

  constructor(message: string, position?: number) {
    super(message);
    this.position = position;
  }
}

import { isWebAddress } from '../../../domain/text.ts';

/** What a client can show of a content without knowing its source. */
export type ShownContent =
  | { kind: 'text'; text: string }
  | {
      kind: 'media';
      url: string;
      mimeType: string | null;
      name: string | null;
      byteSize: number | null;
      caption: string | null;
    }
  | { kind: 'location'; latitude: number; longitude: number; label: string | null }
  | { kind: 'unknown'; type: string | null; preview: string | null };

const previewLength = 200;

/** Reads the common shapes; what fits none is unknown, with the beginning of its JSON. */
export function shownContent(content: unknown): ShownContent {
  if (typeof content === 'string') return { kind: 'text', text: content };
  if (typeof content !== 'object' || content === null || Array.isArray(content)) return unknownContent(content, null);
  const object = content as Record<string, unknown>;
  const type = textOf(object.type);
  if (typeof object.text === 'string') return { kind: 'text', text: object.text };
  if (typeof object.latitude === 'number' && typeof object.longitude === 'number') {
    return {
      kind: 'location',
      latitude: object.latitude,
      longitude: object.longitude,
      label: textOf(object.label) ?? textOf(object.name),
    };
  }
  if (typeof object.url === 'string' && isWebAddress(object.url)) {
    const byteSize =
      Number.isInteger(object.byteSize) && Math.abs(object.byteSize as number) < 2 ** 31
        ? (object.byteSize as number)
        : null;
    return {
      kind: 'media',
      url: object.url,
      mimeType: textOf(object.mimeType),
      name: textOf(object.name) ?? textOf(object.title),
      byteSize,
      caption: textOf(object.caption),
    };
  }
  return unknownContent(content, type);
}

function unknownContent(content: unknown, type: string | null): ShownContent {
  return { kind: 'unknown', type, preview: JSON.stringify(content)?.slice(0, previewLength).toWellFormed() ?? null };
}

function textOf(value: unknown): string | null {
  return typeof value === 'string' ? value : null;
}

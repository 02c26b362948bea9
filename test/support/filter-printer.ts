import type {
  ExactField,
  Filter,
  NumberField,
  Pattern,
  WordsField,
} from '../../src/domain/messaging/conversations/filter-tree.ts';

/** A filter as Lucene text that means the same, with everything bracketed and escaped. */
export function print(filter: Filter): string {
  switch (filter.kind) {
    case 'all':
      return filter.of.length === 0 ? '*:*' : `(${filter.of.map(print).join(' AND ')})`;
    case 'any':
      return filter.of.length === 0 ? 'display_name:""' : `(${filter.of.map(print).join(' OR ')})`;
    case 'not':
      return `(NOT ${print(filter.of)})`;
    case 'is':
      return `${filter.field}:${quoted(filter.value)}`;
    case 'words':
      return `${nameOf(filter.field)}:${quoted(filter.words.join(' '))}`;
    case 'matches':
    case 'like':
      return `${nameOf(filter.field)}:${term(filter.pattern)}`;
    case 'near':
      return `${nameOf(filter.field)}:${escaped(filter.word)}~${filter.distance}`;
    case 'between':
      return `${filter.field}:[${end(filter.from)} TO ${end(filter.to)}]`;
    case 'text':
      throw new Error('Lucene has no words for it');
    case 'has':
      return `${nameOf(filter.field)}:*`;
  }
}

function nameOf(field: ExactField | NumberField | WordsField): string {
  if (typeof field === 'string') return field;
  return field.kind === 'display_name' ? 'display_name' : ['metadata', ...field.path.map(escaped)].join('.');
}

function term(pattern: Pattern): string {
  return pattern.map((one) => (typeof one === 'string' ? one : escaped(one.text))).join('');
}

function quoted(text: string): string {
  return `"${text.replace(/["\\]/g, '\\$&')}"`;
}

/** Whatever is no letter or digit behind a backslash; of letters the first, so that no AND is an operator. */
function escaped(text: string): string {
  return text.replace(/^.|[^\p{L}\p{N}]/gsu, '\\$&');
}

function end(number: number): string {
  return Number.isFinite(number) ? String(number) : '*';
}

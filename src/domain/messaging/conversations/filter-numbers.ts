/** The latest and, negated, the earliest instant that a Date holds. */
const farthestMs = 8.64e15;
const integer = /^-?\d+$/;
const iso =
  /^(\d{4})-(\d\d)-(\d\d)(?:T([01]\d|2[0-3]):([0-5]\d)(?::([0-5]\d)(?:\.(\d{1,9}))?)?(?:Z|([+-])([01]\d|2[0-3]):?([0-5]\d)))?$/;
const [firstMs, lastMs] = [Date.parse('0000-01-01T00:00:00.000Z'), Date.parse('9999-12-31T23:59:59.999Z')];

/** A whole number, or undefined. What is no safe integer becomes the nearest one. */
export function readCount(text: string): number | undefined {
  return integer.test(text) ? clamped(text, Number.MAX_SAFE_INTEGER) : undefined;
}

/**
 * Epoch milliseconds of an instant, or undefined: milliseconds as they are, or ISO 8601 of the years 0 to 9999 with a
 * zone, or a date, which begins in UTC. Parts of a millisecond are cut off.
 */
export function readInstant(text: string): number | undefined {
  if (integer.test(text)) return clamped(text, farthestMs);
  const parts = iso.exec(text);
  if (!parts) return undefined;
  const part = (index: number): number => Number(parts[index] ?? 0);
  // Not Date.parse and not Date.UTC: the one turns the 30th of February into March, the other the year 20 into 1920.
  const date = new Date(0);
  date.setUTCFullYear(part(1), part(2) - 1, part(3));
  if (date.getUTCMonth() !== part(2) - 1 || date.getUTCDate() !== part(3)) return undefined;
  const milliseconds = Number((parts[7] ?? '').slice(0, 3).padEnd(3, '0'));
  const offsetMinutes = (parts[8] === '-' ? -1 : 1) * (part(9) * 60 + part(10));
  const ms = date.setUTCHours(part(4), part(5) - offsetMinutes, part(6), milliseconds);
  return ms >= firstMs && ms <= lastMs ? ms : undefined;
}

function clamped(digits: string, farthest: number): number {
  // + 0 makes a zero of -0.
  return Math.max(-farthest, Math.min(farthest, Number(digits))) + 0;
}

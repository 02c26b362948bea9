import { type ExecutionResult, GraphQLError, type OperationTypeNode } from 'graphql';
import { TooLarge } from '../domain/errors.ts';

/**
 * Characters of one answer as JSON, escapes not counted. The contents of a full page of the largest messages are 6.5 million;
 * with metadata as large as that it has to be a smaller page.
 * A key counts as more: it takes the time of so many characters to be written out.
 */
export const longestAnswer = 10_000_000;
const keyWeight = 24;

/**
 * The result, or TOO_LARGE in its place: aliases and pages within pages make an answer of any size out of stored
 * messages. Measured before it is stringified, in a quarter of the time that takes.
 */
export function withinSize(result: ExecutionResult, kind: `${OperationTypeNode}`): ExecutionResult {
  if (roomAfter(result.data, longestAnswer) >= 0) return result;
  const done = kind === 'mutation' ? 'the change is made and need not be sent again, but ' : '';
  const error = new TooLarge(
    `${done}the answer has more than ${longestAnswer} characters, a key counted as ${keyWeight} more: ask for smaller pages or less fields`,
  );
  return { data: null, errors: [new GraphQLError(error.message, { originalError: error })] };
}

// What is left of `room`; it stops as soon as that is nothing.
function roomAfter(value: unknown, room: number): number {
  if (typeof value === 'string') return room - value.length - 3;
  if (typeof value !== 'object' || value === null) return room - 5;
  let left = room - 3;
  if (Array.isArray(value)) {
    for (let index = 0; index < value.length && left >= 0; index += 1) left = roomAfter(value[index], left);
    return left;
  }
  for (const key in value) {
    left = roomAfter((value as Record<string, unknown>)[key], left - key.length - keyWeight);
    if (left < 0) break;
  }
  return left;
}

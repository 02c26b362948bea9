import type { Row } from '../run-row.ts';
import { airyChannels } from './airy-channels.ts';
import { airyCore } from './airy-core.ts';
import { airyLater } from './airy-later.ts';
import { airyPeople } from './airy-people.ts';
import { airySource } from './airy-source.ts';

/** Every row of the older contracts. */
export const allRows: Record<string, Row> = {
  ...airyCore,
  ...airyChannels,
  ...airyLater,
  ...airyPeople,
  ...airySource,
};

import { describeKills } from './journey-kill-run.ts';

describeKills({ in: 5 });

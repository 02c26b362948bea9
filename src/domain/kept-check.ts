/** Something that is written beside the rows that it follows from, and how to find and mend what is wrong with it. */
export interface KeptCheck {
  /** What is checked, in a few words. */
  name: string;
  /** Gives a row `what` for each fault. One statement: it sees rows and totals as of one moment. */
  faults: string;
  /** What holds off all who write it, until the commit. */
  lock: string;
  /** Statements that mend all faults. */
  mend: string[];
}

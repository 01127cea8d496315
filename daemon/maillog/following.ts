/** What following a log looks like from outside, wherever it is. */

/**
 * Whole lines, as they were logged. The next ones come after it has resolved; it does not reject.
 */
export type TakeLines = (lines: readonly string[]) => void | Promise<void>

export interface Following {
  /** A path, or `journal`. */
  readonly source: string
  /** Why it is not being read at the moment; undefined: it is. */
  readonly problem: string | undefined
  /** Resolves when nothing is open any more and no line will come. */
  stop(): Promise<void>
}

/** What is read again at the start, in case the daemon did not live to see it. */
export const READ_BACK_MILLISECONDS = 600_000

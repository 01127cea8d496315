/** The daemon's side of the history's thread. Nothing here is on the path of a request. */

import { existsSync } from 'node:fs'
import { join } from 'node:path'
import type { Gap } from '../policy/ports/history.ts'
import type { Clock } from '../system/clock.ts'
import { KeptThread } from '../system/kept-thread.ts'
import type { Answers, QuestionName, Questions } from './queries.ts'
import type { SpoolPlace } from './spool-files.ts'
import type { Asked, State, ThreadStart, Tidy } from './thread-messages.ts'

/** JavaScript's own memory; tables and portions are outside of it. */
const MOST_HEAP_MEGABYTES = 512

/** Beside the bundle, or the source. */
const bundled = join(import.meta.dirname, 'history-thread.cjs')
const program = existsSync(bundled) ? bundled : join(import.meta.dirname, 'thread.ts')

export interface ThreadOptions extends ThreadStart {
  /** Another one than the history's, in tests. */
  readonly program?: string
  readonly clock: Pick<Clock, 'after'>
  /** Up to here the spool is no longer needed. */
  readonly taken: (place: SpoolPlace) => void
  /** For the log: it was started again. */
  readonly ended: (why: string) => void
}

export class RunningThread {
  readonly #thread: KeptThread<Asked, Tidy, State>
  readonly #options: ThreadOptions
  gaps: readonly Gap[] = []

  constructor(options: ThreadOptions) {
    const start: ThreadStart = { path: options.path }
    this.#options = options
    this.#thread = new KeptThread({
      program: options.program ?? program,
      name: 'history',
      start,
      mostHeap: MOST_HEAP_MEGABYTES,
      clock: options.clock,
      said: state => this.#note(state),
      ended: options.ended,
    })
  }

  get problem(): string | undefined {
    return this.#thread.problem
  }

  /** `place`: what was noted before it is part of the answer. */
  async ask<Name extends QuestionName>(
    name: Name,
    question: Questions[Name],
    place: SpoolPlace,
  ): Promise<Answers[Name]> {
    // The thread answers each query by its name.
    return (await this.#thread.ask({ name, question, place })) as Answers[Name]
  }

  tidy(now: number, days: number): void {
    this.#thread.send({ kind: 'tidy', now, days })
  }

  /** Resolves when the file is closed. */
  close(): Promise<void> {
    return this.#thread.close()
  }

  #note({ problem, gaps, taken }: State): void {
    this.#thread.problem = problem
    this.gaps = gaps
    if (problem === undefined) this.#thread.works()
    if (taken) this.#options.taken(taken)
  }
}

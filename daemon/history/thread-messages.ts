/** What the daemon and the history's thread tell each other. */

import type { Gap } from '../policy/ports/history.ts'
import type { AnswerMessage, AskMessage, CloseMessage } from '../system/kept-thread.ts'
import type { QuestionName, Questions } from './queries.ts'
import type { SpoolPlace } from './spool-files.ts'

/** What the thread is started with. */
export interface ThreadStart {
  readonly path: string
}

export interface Asked {
  readonly name: QuestionName
  readonly question: Questions[QuestionName]
  /** What was noted before is part of the answer. */
  readonly place: SpoolPlace
}

/** Now and then: what is old is deleted. `now`: milliseconds since 1970. */
export interface Tidy {
  readonly kind: 'tidy'
  readonly now: number
  readonly days: number
}

export interface State {
  readonly kind: 'state'
  /** Up to here the spool is no longer needed. */
  readonly taken: SpoolPlace | undefined
  readonly problem: string | undefined
  readonly gaps: readonly Gap[]
}

export type ToThread = AskMessage<Asked> | Tidy | CloseMessage
export type FromThread = AnswerMessage | State

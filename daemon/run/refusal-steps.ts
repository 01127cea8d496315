/**
 * The steps that led to a refusal, for `mtpolicyctl why`: right after the answer has left, the request is
 * put once more through its configuration, as a rehearsal (rehearse.ts). To note the steps of all mail as
 * it is decided would cost all mail.
 *
 * A mail that is refused has counted nothing, so the rehearsal sees the counters as the decision saw
 * them; unless other mail of the account is decided between the two, which is a moment. A session begins
 * empty, and what would be written or sent is skipped. Where refusals come faster than this file takes
 * them, the others have no steps. It never holds up an answer, and its failures are not those of mail.
 */

import type { History, SeenStep } from '../policy/ports/history.ts'
import type { Place } from '../policy/problem.ts'
import type { VerdictRecord } from '../policy/verdict-record.ts'
import { variableOfBlock } from '../registry/rendered-blocks.ts'
import type { Clock } from '../system/clock.ts'
import { inWords } from './commands/explain.ts'
import type { Generation } from './generation.ts'

/** Refusals that are rehearsed within a second. */
const MOST_PER_SECOND = 20
/** Rehearsals that may wait for something, such as DNS, at once. */
const MOST_AT_ONCE = 4
/** Refusals that wait for their rehearsal; a second's worth. */
const MOST_WAITING = MOST_PER_SECOND

export class RefusalSteps {
  readonly #clock: Pick<Clock, 'elapsed'>
  readonly #waiting: (() => Promise<void>)[] = []
  #second = Number.NaN
  #begun = 0
  #underWay = 0

  constructor(clock: Pick<Clock, 'elapsed'>) {
    this.#clock = clock
  }

  /** A refusal has left, and the history was told. `generation`: the configuration that has decided it. */
  note({ code, request }: VerdictRecord, generation: Generation, history: History): void {
    if (code === '' || !this.#isAdmitted()) return
    this.#waiting.push(async () => {
      const { steps } = await generation.rehearse(request)
      const seen = steps.map(({ plugin, module, place, saw, outcome, text }): SeenStep => {
        return {
          plugin,
          module,
          saw,
          outcome: inWords(outcome, text),
          place: writtenAt(place, plugin, generation),
        }
      })
      history.explained(code, seen)
    })
    // Not now: other answers of this turn have not left yet.
    setImmediate(() => this.#work())
  }

  #isAdmitted(): boolean {
    const second = Math.floor(this.#clock.elapsed() / 1000)
    if (second !== this.#second) {
      this.#second = second
      this.#begun = 0
    }
    if (this.#begun >= MOST_PER_SECOND || this.#waiting.length >= MOST_WAITING) return false
    this.#begun++
    return true
  }

  #work(): void {
    while (this.#underWay < MOST_AT_ONCE) {
      const rehearse = this.#waiting.shift()
      if (!rehearse) return
      this.#underWay++
      rehearse()
        // Its configuration has been closed, or a file it names has gone: this refusal has no steps.
        .catch(() => undefined)
        .finally(() => {
          this.#underWay--
          this.#work()
        })
    }
  }
}

/** As `SeenStep.place`: the host variable that a block of the rendered file comes from, else file and line. */
export function writtenAt(
  place: Place | undefined,
  block: string,
  { origin, assembly }: Pick<Generation, 'origin' | 'assembly'>,
): string {
  if (!place) return ''
  const { file, line } = place
  const isRendered = origin === 'variables' && file === assembly.file
  return (isRendered && variableOfBlock(block)) || `${file}:${line}`
}

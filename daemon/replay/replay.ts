/** Puts records through configurations on trial, side by side, in one pass. */

import { ConnectionEnds, type Turn } from './connection-ends.ts'
import type { Recorded } from './record.ts'
import type { ReplayClock } from './replay-clock.ts'
import type { Trial, TrialAnswer } from './trial.ts'

/** Earlier than the record before by more than this: not just a clock that was set. */
const DISORDER_MILLISECONDS = 60_000

export interface ReplayOptions {
  /** In portions. */
  readonly records: AsyncIterable<readonly Recorded[]>
  /** At least one. */
  readonly trials: readonly Trial[]
  /** That of the trials. */
  readonly clock: ReplayClock
  /** Told of each request, with an answer of each trial. */
  readonly answered: (record: Recorded, answers: readonly TrialAnswer[]) => void
  /** Called after a portion; more are read when it resolves. */
  readonly paused: () => void | Promise<void>
  /** Called once if records are not in the order of their times; by how many milliseconds. */
  readonly disordered: (record: Recorded, milliseconds: number) => void
}

export async function replay(options: ReplayOptions): Promise<void> {
  const { records, trials, clock, answered, paused, disordered } = options
  const ends = new ConnectionEnds()
  let latest = Number.NEGATIVE_INFINITY
  let isOrdered = true

  async function pass(isEnd: boolean): Promise<void> {
    for (let turn = ends.take(isEnd); turn !== undefined; turn = ends.take(isEnd)) {
      const { record } = turn
      if (isOrdered && record.t < latest - DISORDER_MILLISECONDS) {
        isOrdered = false
        disordered(record, latest - record.t)
      }
      if (record.t > latest) latest = record.t
      clock.moveTo(record.t)
      const answers: TrialAnswer[] = []
      for (const trial of trials) {
        const answer = trial.answer(record, turn.connection)
        // A promise costs more than the answer, so only one that is needed is waited for.
        answers.push(answer instanceof Promise ? await answer : answer)
      }
      answered(record, answers)
      end(turn)
    }
    for (const trial of trials) trial.settle()
    await paused()
  }

  function end({ connection, isLast }: Turn): void {
    if (isLast) for (const trial of trials) trial.disconnect(connection)
  }

  for await (const portion of records) {
    ends.add(portion)
    await pass(false)
  }
  await pass(true)
}

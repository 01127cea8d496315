/** Every message of Postfix's log is judged again, by the settings in force and by those on trial, side by side. */

import { setImmediate } from 'node:timers/promises'
import { formatNotice } from '../../policy/problem.ts'
import { candidateConfiguration } from '../../registry/candidate.ts'
import type { Registry } from '../../registry/registry.ts'
import { readRecords } from '../../replay/read-records.ts'
import type { Recorded } from '../../replay/record.ts'
import { holds, Refusals } from '../../replay/refusals.ts'
import { replay } from '../../replay/replay.ts'
import { ReplayClock } from '../../replay/replay-clock.ts'
import { logFiles } from '../../replay/rotation.ts'
import { openTrial, type Trial, UntriableConfiguration } from '../../replay/trial.ts'
import { asDaemon } from '../../system/daemon-user.ts'
import type { TryoutAnswer } from '../api.ts'
import { WebError } from '../reply.ts'
import { compared, type StoppedAccount, sumsOf } from './result.ts'
import type { Wish } from './tryout.ts'

/** Somebody waits in front of the page. */
const MOST_MILLISECONDS = 60_000
const MOST_MESSAGES = 5_000_000
const MOST_NOTES = 20
/** Messages that are judged without a pause: other pages of the console are answered by the same thread. */
const STEP_MESSAGES = 250

/** Undefined: the log has no mail of that time. Throws a WebError. */
export async function tryOnLog(
  wish: Wish,
  registry: Registry,
  path: string,
): Promise<TryoutAnswer | undefined> {
  const trials: Trial[] = []
  try {
    const clock = new ReplayClock()
    for (const changes of [new Map(), wish.changes]) {
      trials.push(await trialOf(wish, registry, changes, clock))
    }
    return await run(wish, path, trials, clock)
  } finally {
    for (const trial of trials) trial.close()
  }
}

async function trialOf(
  { services: { paths } }: Wish,
  registry: Registry,
  changes: Wish['changes'],
  clock: ReplayClock,
): Promise<Trial> {
  const values = new Map([...changes].map(([key, value]) => [key, value ?? usual(registry, key)]))
  const { file, text, problems } = candidateConfiguration(registry, paths.templates, values)
  if (text === undefined) throw new WebError(400, problems.map(formatNotice).join('\n'))
  try {
    return await asDaemon(paths.root, () => openTrial({ file, text, paths, clock }))
  } catch (error) {
    if (error instanceof UntriableConfiguration) throw new WebError(400, error.message)
    throw error
  }
}

/** What holds when a variable is unset. */
function usual({ descriptions }: Registry, key: string): string {
  return descriptions.exact(key)?.default ?? ''
}

async function run(
  wish: Wish,
  path: string,
  trials: readonly Trial[],
  clock: ReplayClock,
): Promise<TryoutAnswer | undefined> {
  const source = new Source(wish, path)
  const refusals = trials.map(() => new Refusals())
  const held = trials.map(() => new Refusals(holds))
  let looked = 0
  let latest = wish.since
  await replay({
    records: source.records(),
    trials,
    clock,
    answered(record, answers) {
      looked++
      latest = Math.max(latest, record.t)
      for (const [at, one] of answers.entries()) {
        if (!refusals[at]?.note(record, one)) held[at]?.note(record, one)
      }
    },
    paused: async () => {
      await setImmediate()
    },
    disordered: () => undefined,
  })
  wish.signal.throwIfAborted()
  if (looked === 0) return undefined
  const [now, tried] = refusals.map(stoppedBy)
  const idle = trials.at(-1)?.idle ?? []
  const waiting = held.at(-1)?.requests ?? 0
  const notes = [
    ...(waiting === 0 ? [] : [`requests held or redirected rather than refused: ${waiting}`]),
    ...idle.map(({ plugin, kind, why }) => `${plugin} was not tried (${kind}): ${why}`),
    ...source.notes,
  ]
  return {
    source: 'mail log',
    since: wish.since,
    until: source.isPartial ? latest : wish.until,
    looked,
    isPartial: source.isPartial,
    now: sumsOf(now ?? []),
    tried: sumsOf(tried ?? []),
    accounts: compared(now ?? [], tried ?? []),
    notes: [...new Set(notes)].slice(0, MOST_NOTES),
  }
}

function stoppedBy(refusals: Refusals): StoppedAccount[] {
  return refusals.accounts.map(({ account, requests, recipients, first, by }) => ({
    account,
    times: requests,
    recipients,
    first,
    by: [...by.keys()],
  }))
}

/** The messages of the time that is wished for; not for longer than somebody would wait. */
class Source {
  readonly #wish: Wish
  readonly #path: string
  readonly notes: string[] = []
  isPartial = false

  constructor(wish: Wish, path: string) {
    this.#wish = wish
    this.#path = path
  }

  async *records(): AsyncGenerator<readonly Recorded[]> {
    const { since, until, signal } = this.#wish
    const files = await logFiles([this.#path], Date.now())
    const began = performance.now()
    let count = 0
    const portions = readRecords({
      // A file that was written last before that time is not needed.
      files: files.filter(({ before }) => before >= since),
      damaged: () => undefined,
      recognized: () => undefined,
      leftOut: ({ unnamed }) => {
        if (unnamed === 0) return
        this.notes.push(`messages of users not seen behind a filter before the queue: ${unnamed}`)
      },
      unreadable: (file, why) => void this.notes.push(`${file}: ${why}`),
    })
    for await (const portion of portions) {
      if (signal.aborted) return
      if (performance.now() - began > MOST_MILLISECONDS || count > MOST_MESSAGES) {
        this.isPartial = true
        return
      }
      const wanted = portion.filter(({ t }) => t >= since && t <= until)
      count += wanted.length
      for (let from = 0; from < wanted.length && !signal.aborted; from += STEP_MESSAGES) {
        yield wanted.slice(from, from + STEP_MESSAGES)
      }
      // A log of another time is read as well.
      if (wanted.length === 0) await setImmediate()
    }
  }
}

/**
 * The measures that an administrator has ordered, in memory and in a file. The file is written whole, and is
 * on the disk before a command is answered: what is in force is there, also after kill -9. What cannot be
 * written is not in force.
 *
 * A measure ends by itself at a moment of the wall clock. From that moment on it is not in force, whether
 * that has been recorded or not.
 */

import { accountName } from '../policy/account.ts'
import type { Fields } from '../policy/ports/log.ts'
import type { AccountMeasures, Measure, Measures } from '../policy/ports/measures.ts'
import { describeError } from '../system/errors.ts'
import { inodeOf, readFile, writeFile } from './file.ts'
import { type Ended, NOTHING, type Records, type Reset, valueText } from './records.ts'

/** In force at the same time. */
export const MOST_MEASURES = 10_000
/** Kept of those that have ended. */
const MOST_ENDED = 10_000
const ENDED_DAYS = 90
const DAY = 86_400_000

/** What the book tells the administrator. */
export interface BookLog {
  error(message: string, fields?: Fields): void
  /** As loud as a verdict. */
  event(message: string, fields?: Fields): void
}

/** The measures of an account. */
interface OfAccount {
  readonly all: readonly Measure[]
  readonly inForce: AccountMeasures
  /** When the first of them ends. */
  readonly until: number
}

export class MeasureBook implements Measures {
  readonly #file: string
  readonly #log: () => BookLog
  #records = NOTHING
  /** By account, without the default domain. */
  #accounts: ReadonlyMap<string, OfAccount> = new Map()
  #defaultDomain = ''
  #problem: string | undefined
  /** False: there is a file that could not be read, and must not be replaced. */
  #isRead = true
  /** The inode of the file that was read or written last. */
  #inode = 0

  constructor(file: string, log: () => BookLog) {
    this.#file = file
    this.#log = log
  }

  /** What is wrong with the file, or was; undefined: nothing. */
  get problem(): string | undefined {
    return this.#problem
  }

  get isEmpty(): boolean {
    return this.#accounts.size === 0
  }

  of(account: string, now: number): AccountMeasures | undefined {
    const found = this.#accounts.get(this.#withoutDomain(account))
    if (!found || now < found.until) return found?.inForce
    const left = found.all.filter(one => isInForce(one, now))
    return left.length === 0 ? undefined : inForceOf(left)
  }

  /** In the order in which they were ordered. */
  inForce(now: number): readonly Measure[] {
    return this.#records.measures.filter(one => isInForce(one, now))
  }

  /** The last ones last. */
  get ended(): readonly Ended[] {
    return this.#records.ended
  }

  /**
   * Reads the file, if there is one. One that is damaged, or of a later version, is set aside; then
   * no measure is in force. Never throws.
   */
  open(now: number): void {
    try {
      this.#load(now)
    } catch (error) {
      this.#isRead = false
      this.#problem = `no measure is in force, and none can be ordered: ${describeError(error)}`
      this.#log().error(this.#problem)
    }
  }

  /** Accounts are written with or without this domain from now on. */
  foldWith(defaultDomain: string): void {
    if (defaultDomain === this.#defaultDomain) return
    this.#defaultDomain = defaultDomain
    this.#use(this.#records)
  }

  /**
   * In force with the next request, in place of those of the same kind, which are returned. Throws with
   * nothing changed if there are too many, or the file cannot be written.
   */
  order(measure: Measure, now: number): readonly Measure[] {
    this.#makeReady(now)
    const before = this.inForce(now)
    const replaced = this.#inForceOf(measure.account, now).filter(one => isSameKind(one, measure))
    const kept = before.filter(one => !replaced.includes(one))
    if (kept.length >= MOST_MEASURES) {
      throw new Error(`there are ${MOST_MEASURES} measures already; release some of them first`)
    }
    this.#end(replaced, 'replaced', measure.by, now, [...kept, measure])
    this.#log().event('measure ordered', fieldsOf(measure))
    return replaced
  }

  /** Ends all measures of an account, and returns them. Throws as `order`. */
  release(account: string, by: string, now: number): readonly Measure[] {
    this.#makeReady(now)
    const released = this.#inForceOf(account, now)
    if (released.length === 0) return []
    const kept = this.inForce(now).filter(one => !released.includes(one))
    this.#end(released, 'released', by, now, kept)
    return released
  }

  /** A count has begun again. Throws as `order`. */
  note(reset: Reset): void {
    const { at, by } = reset
    this.#makeReady(at)
    this.#end([reset], 'done', by, at, this.inForce(at))
  }

  /** The measures of an account, in the order in which they were ordered. */
  allOf(account: string, now: number): readonly Measure[] {
    return this.#inForceOf(account, now)
  }

  /** Deletes what has ended of an account: how many. What is in force stays. Throws as `order`. */
  forget(account: string, now: number): number {
    this.keep(now)
    const name = this.#withoutDomain(account)
    const { measures, ended } = this.#records
    const kept = ended.filter(({ measure }) => this.#withoutDomain(measure.account) !== name)
    if (kept.length === ended.length) return 0
    const next: Records = { measures, ended: kept }
    this.#write(next)
    this.#use(next)
    return ended.length - kept.length
  }

  /**
   * To be called now and then. Records the end of those whose time has passed; none is in force any more. A
   * file that was deleted or replaced is written again. Throws as `order`.
   */
  keep(now: number): void {
    this.#makeReady(now)
    const inForce = this.inForce(now)
    if (inForce.length < this.#records.measures.length) this.#end([], 'expired', '', now, inForce)
    if (this.isEmpty || inodeOf(this.#file) === this.#inode) return
    this.#write(this.#records)
    this.#log().error(`${this.#file} was deleted or replaced while in use; it was written again`)
  }

  /** `kept`: what is in force from now on. What has expired meanwhile ends as well. */
  #end(
    ended: readonly Ended['measure'][],
    how: Ended['how'],
    by: string,
    now: number,
    kept: readonly Measure[],
  ): void {
    const expired = this.#records.measures
      .filter(one => !isInForce(one, now))
      .map((measure): Ended => {
        return { measure, how: 'expired', endedAt: measure.until ?? now, endedBy: '' }
      })
    const ends = [
      ...expired,
      ...ended.map((measure): Ended => ({ measure, how, endedAt: now, endedBy: by })),
    ]
    const youngest = now - ENDED_DAYS * DAY
    const all = [...this.#records.ended.filter(one => one.endedAt >= youngest), ...ends]
    const next: Records = { measures: kept, ended: all.slice(-MOST_ENDED) }
    this.#write(next)
    this.#use(next)
    for (const { measure, how, endedBy } of ends) {
      const done = how === 'done' ? 'count reset' : `measure ${how}`
      this.#log().event(done, {
        ...fieldsOf(measure),
        ...(how === 'done' ? {} : { ended_by: endedBy || undefined }),
      })
    }
  }

  #write(records: Records): void {
    writeFile(this.#file, records)
    this.#inode = inodeOf(this.#file)
  }

  #use(records: Records): void {
    this.#records = records
    const of = Map.groupBy(records.measures, ({ account }) => this.#withoutDomain(account))
    this.#accounts = new Map(
      [...of].map(([account, all]) => {
        const until = Math.min(...all.map(one => one.until ?? Number.POSITIVE_INFINITY))
        return [account, { all, inForce: inForceOf(all), until }]
      }),
    )
  }

  #withoutDomain(account: string): string {
    return accountName(account, this.#defaultDomain)
  }

  #inForceOf(account: string, now: number): readonly Measure[] {
    const all = this.#accounts.get(this.#withoutDomain(account))?.all ?? []
    return all.filter(one => isInForce(one, now))
  }

  /** What could not be read before may be readable now; else nothing may be written there. */
  #makeReady(now: number): void {
    if (!this.#isRead) this.#load(now)
  }

  /** Throws if there is a file that can neither be used nor be set aside. */
  #load(now: number): void {
    const { records, problem } = readFile(this.#file, now)
    this.#isRead = true
    this.#inode = inodeOf(this.#file)
    this.#problem = problem
    if (problem !== undefined) this.#log().error(problem)
    this.#use(records)
  }
}

function isInForce({ until }: Measure, now: number): boolean {
  return until === undefined || now < until
}

function isSameKind(one: Measure, other: Measure): boolean {
  if (one.kind === 'limit' && other.kind === 'limit') return one.window === other.window
  return one.kind === other.kind
}

/** One of a kind: the last. */
function inForceOf(measures: readonly Measure[]): AccountMeasures {
  return {
    block: measures.findLast(one => one.kind === 'block'),
    allow: measures.findLast(one => one.kind === 'allow'),
    limits: measures.filter(one => one.kind === 'limit').toReversed(),
  }
}

function fieldsOf(measure: Measure | Reset): Fields {
  const { account, kind, until, by, why } = measure
  return {
    ...{ account, kind, value: valueText(measure) || undefined },
    until: until === undefined ? undefined : new Date(until).toISOString(),
    ...{ by, why: why || undefined },
  }
}

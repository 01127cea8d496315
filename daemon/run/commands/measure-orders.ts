/** What an administrator orders for single accounts, over the control socket: read, checked, and carried out. */

import type { Loaded } from '../../config/load.ts'
import type {
  OrderArguments,
  PortionArguments,
  ReleaseArguments,
  ResetArguments,
} from '../../control/control.ts'
import type { EndedMeasure, OrderedMeasure, Portion, ResetCount } from '../../control/protocol.ts'
import type { MeasureBook } from '../../measures/book.ts'
import { readAmount, scaleOf, unitOf } from '../../plugins/limit/amount.ts'
import { accountName } from '../../policy/account.ts'
import type { AccountLimit } from '../../policy/account-limit.ts'
import { countryCodes } from '../../policy/country-codes.ts'
import type { Ledger } from '../../policy/ports/ledger.ts'
import type { Measure } from '../../policy/ports/measures.ts'
import { oneLine } from '../../policy/verdict.ts'
import type { Clock } from '../../system/clock.ts'
import { describeError } from '../../system/errors.ts'
import { namesOf } from './account-names.ts'
import { limitsNamed } from './named-limits.ts'
import { measureShown } from './shown-measures.ts'

/** Characters of a reason. */
const LONGEST_WHY = 500
/** Characters of the name of the person who orders. */
const LONGEST_BY = 100
/** Measures in one answer. */
const MOST_AT_ONCE = 1000

export interface MeasureOrdersOptions {
  readonly clock: Pick<Clock, 'now'>
  readonly book: MeasureBook
  readonly ledger: Ledger
  /** The configuration in force. */
  readonly loaded: Pick<Loaded, 'limits' | 'links'>
}

/** Every method throws a message for the caller, with nothing changed. */
export class MeasureOrders {
  readonly #options: MeasureOrdersOptions

  constructor(options: MeasureOrdersOptions) {
    this.#options = options
  }

  order(given: OrderArguments): { measure: OrderedMeasure; replaced: readonly OrderedMeasure[] } {
    const { book } = this.#options
    const now = this.#options.clock.now()
    const measure = this.#read(given, now)
    const replaced = book.order(measure, now)
    return { measure: measureShown(measure), replaced: replaced.map(measureShown) }
  }

  release(given: ReleaseArguments): readonly OrderedMeasure[] {
    const { book, clock } = this.#options
    const { account, by } = readHead(given)
    return book.release(account, by, clock.now()).map(measureShown)
  }

  async reset(given: ResetArguments): Promise<readonly ResetCount[]> {
    const { book, ledger, clock, loaded } = this.#options
    const at = clock.now()
    const { account, by, why } = readHead(given)
    const { limits } = limitsNamed(loaded.limits, given.window)
    const counted: (ResetCount & { readonly limit: AccountLimit })[] = []
    for (const limit of limits) {
      const { name, window, unit, counter } = limit
      if (counted.some(one => one.limit.counter === counter)) continue
      const used = await ledger.used(counter, subjectIn(limit, account), limit.windowAt(at), at)
      counted.push({ name, window, unit, used: used / scaleOf(unitOf(unit)), limit })
    }
    const windows = [...new Set(counted.map(({ window }) => window))]
    book.note({ kind: 'reset', account, at, until: undefined, by, why, windows })
    for (const { limit } of counted) {
      await ledger.reset(limit.counter, subjectIn(limit, account), limit.windowAt(at), at)
    }
    try {
      await ledger.settle()
    } catch (error) {
      const message = `the counts begin again, but a restart may bring the old ones back: ${describeError(error)}`
      throw new Error(message, { cause: error })
    }
    return counted.map(({ name, window, unit, used }) => ({ name, window, unit, used }))
  }

  list({ from, account }: PortionArguments): Portion<OrderedMeasure> {
    const { book, clock } = this.#options
    const isWanted = this.#isOf(account)
    return portionOf(book.inForce(clock.now()).filter(isWanted), from, measureShown)
  }

  listEnded({ from, account }: PortionArguments): Portion<EndedMeasure> {
    const isWanted = this.#isOf(account)
    return portionOf(
      this.#options.book.ended.toReversed().filter(({ measure }) => isWanted(measure)),
      from,
      ({ measure, how, endedAt, endedBy }) => ({
        ...measureShown(measure),
        how,
        ended: new Date(endedAt).toISOString(),
        endedBy,
      }),
    )
  }

  /** Of that account, under whatever name; undefined: of any. */
  #isOf(name: string | undefined): (one: { readonly account: string }) => boolean {
    if (name === undefined) return () => true
    const { spellings } = namesOf(this.#options.loaded, name)
    return ({ account }) => spellings.includes(account)
  }

  #read(given: OrderArguments, now: number): Measure {
    const { loaded } = this.#options
    const head = { ...readHead(given), at: now, until: readUntil(given.until, now) }
    switch (given.kind) {
      case 'block':
        return { kind: 'block', ...head }
      case 'allow': {
        if (!loaded.links.some(({ link }) => link.module === 'AllowedCountries')) {
          throw new Error('the running configuration has no AllowedCountries, so all are allowed')
        }
        return { kind: 'allow', ...head, countries: readCountries(given.countries) }
      }
      case 'limit': {
        const threshold = readAmount(given.threshold ?? '')
        if (threshold === undefined) {
          throw new Error('expected a whole number up to 1,000,000,000, or unlimited')
        }
        const { window } = limitsNamed(loaded.limits, given.window ?? 'day')
        return { kind: 'limit', ...head, window, threshold }
      }
      default:
        throw new Error('expected block, allow or limit')
    }
  }
}

/** Whose count it is in a limit per user. */
const subjectIn = ({ defaultDomain }: AccountLimit, account: string): string =>
  accountName(account, defaultDomain)

function readHead({ account: given = '', by = '', why = '' }: ReleaseArguments & ResetArguments) {
  const account = accountName(given, '')
  if (account.trim() === '') throw new Error('expected the name of an account')
  if (why.length > LONGEST_WHY) {
    throw new Error(`the reason has ${why.length} characters; expected ${LONGEST_WHY} at most`)
  }
  return { account, by: oneLine(by).slice(0, LONGEST_BY), why: oneLine(why) }
}

function readUntil(text: string | undefined, now: number): number | undefined {
  if (text === undefined) return undefined
  const until = Date.parse(text)
  if (until > now) return until
  throw new Error(`${oneLine(text)} is not a time to come`)
}

function readCountries(text = ''): readonly string[] {
  const codes = text.split(',').map(code => code.trim().toUpperCase())
  const wrong = codes.find(code => !countryCodes.has(code))
  if (wrong === undefined) return [...new Set(codes)]
  throw new Error(`"${oneLine(wrong)}" is not a country code`)
}

function portionOf<T, V>(
  list: readonly T[],
  from: string | undefined,
  view: (one: T) => V,
): Portion<V> {
  const start = /^\d{1,6}$/.test(from ?? '') ? Number(from) : 0
  const end = start + MOST_AT_ONCE
  return { items: list.slice(start, end).map(view), hasMore: end < list.length }
}

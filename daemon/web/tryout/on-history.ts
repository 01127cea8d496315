/**
 * An estimate from what the history has of each hour: thresholds per day and per hour against what each account has
 * sent on calendar days and in hours of the clock. An hour of a limit begins at any minute, so a limit may
 * stop somewhat more.
 */

import { setImmediate } from 'node:timers/promises'
import type { HourSums } from '../../policy/ports/history.ts'
import type { Values } from '../../registry/layers.ts'
import { canonicalKey } from '../../registry/name-key.ts'
import type { Registry } from '../../registry/registry.ts'
import { setIn, variablesFor } from '../../registry/rendered-blocks.ts'
import { Sending, type Sent } from '../../replay/sending.ts'
import { HISTORY_OFF } from '../../run/commands/kept-history.ts'
import { describeError } from '../../system/errors.ts'
import type { TryoutAnswer } from '../api.ts'
import { WebError } from '../reply.ts'
import { compared, type StoppedAccount, sumsOf } from './result.ts'
import type { Wish } from './tryout.ts'

/** What can be judged, and the rule's name in the configuration. */
const DAY = { variable: 'mtpolicyd/threshold', rule: 'limit' } as const
const HOUR = { variable: 'mtpolicyd/threshold/hour', rule: 'hour' } as const
const TRIABLE =
  /^mtpolicyd\/(?:threshold|threshold\/hour|user\/[^/]+\/threshold(?:\/hour)?|domain\/[^/]+\/user\/threshold(?:\/hour)?)$/
const MOST_MILLISECONDS = 60_000
/** Accounts that are judged without a pause. */
const STEP_ACCOUNTS = 1000

/** Throws a WebError: 409 if no history is kept either. */
export async function tryOnHistory(
  wish: Wish,
  registry: Registry,
  because: string,
): Promise<TryoutAnswer> {
  const { since, until, changes, signal } = wish
  const values = registry.values()
  const defaultDomain = values.get('mtpolicyd/defaultdomain') ?? ''
  const sending = new Sending(values.get('mtpolicyd/timezone') || undefined, defaultDomain)
  const { looked, isPartial } = await read(wish, sending, because)
  const after = new Map(values)
  for (const [key, value] of changes) {
    after.set(canonicalKey(key), value ?? registry.descriptions.exact(key)?.default ?? '')
  }
  const accounts = sending.accounts
  const now = await stopped(accounts, values, defaultDomain, signal)
  const tried = await stopped(accounts, after, defaultDomain, signal)
  const notes = [...changes.keys()]
    .filter(key => !TRIABLE.test(key))
    .map(key => `${key} cannot be tried without the mail log`)
  return {
    source: 'history',
    because,
    since,
    until: isPartial ? (sending.period?.to ?? since) : until,
    looked,
    isPartial,
    now: sumsOf(now),
    tried: sumsOf(tried),
    accounts: compared(now, tried),
    notes,
  }
}

async function read(
  { services, since, until, signal }: Wish,
  sending: Sending,
  because: string,
): Promise<{ readonly looked: number; readonly isPartial: boolean }> {
  const began = performance.now()
  const ended = new AbortController()
  const either = AbortSignal.any([signal, ended.signal])
  let looked = 0
  try {
    for await (const portion of await follow(services.daemon, { since, until }, either)) {
      if (portion.length === 0) break
      looked += addAll(portion, sending)
      if (performance.now() - began > MOST_MILLISECONDS) return { looked, isPartial: true }
    }
  } catch (error) {
    signal.throwIfAborted()
    const message = describeError(error)
    if (message !== HISTORY_OFF) throw new WebError(503, message)
    throw new WebError(409, `there is nothing to try it on: ${because}, and ${HISTORY_OFF}`)
  } finally {
    ended.abort()
  }
  signal.throwIfAborted()
  return { looked, isPartial: false }
}

const follow = (
  daemon: Wish['services']['daemon'],
  span: { readonly since: number; readonly until: number },
  signal: AbortSignal,
) => daemon.follow('hours', span, signal)

/** How many hours with mail. */
function addAll(portion: readonly HourSums[], sending: Sending): number {
  for (const one of portion) sending.addHour(one)
  return portion.filter(({ recipients }) => recipients > 0).length
}

async function stopped(
  accounts: readonly Sent[],
  values: Values,
  defaultDomain: string,
  signal: AbortSignal,
): Promise<StoppedAccount[]> {
  const set = setIn(values)
  const canonical = new Map([...values].map(([key, value]) => [canonicalKey(key), value]))
  const limitOf = (variable: string, account: string): number => {
    const names = variablesFor(variable, account, defaultDomain)
    const value = canonical.get(names.find(name => set.has(name)) ?? variable) ?? ''
    return value === '' || value === 'unlimited' ? Number.POSITIVE_INFINITY : Number(value)
  }
  const found: StoppedAccount[] = []
  for (const [at, one] of accounts.entries()) {
    if (at % STEP_ACCOUNTS === STEP_ACCOUNTS - 1) {
      await setImmediate()
      signal.throwIfAborted()
    }
    const day = limitOf(DAY.variable, one.account)
    const hour = limitOf(HOUR.variable, one.account)
    const result = stoppedOf(one, day, hour)
    if (result) found.push(result)
  }
  return found
}

/** Undefined: it is not stopped. */
function stoppedOf(
  { account, days, hours }: Sent,
  perDay: number,
  perHour: number,
): StoppedAccount | undefined {
  const overHour = new Map<string, number>()
  for (const { day, recipients } of hours) {
    if (recipients > perHour) {
      overHour.set(day, (overHour.get(day) ?? 0) + recipients - perHour)
    }
  }
  const overDay = new Map(
    [...days].flatMap(([day, sum]) => (sum > perDay ? [[day, sum - perDay]] : [])),
  )
  const stopped = [...new Set([...overDay.keys(), ...overHour.keys()])].toSorted()
  const [first] = stopped
  if (first === undefined) return undefined
  // What one limit stops the other need not.
  const recipients = stopped.reduce(
    (sum, day) => sum + Math.max(overDay.get(day) ?? 0, overHour.get(day) ?? 0),
    0,
  )
  const by = [...(overDay.size > 0 ? [DAY.rule] : []), ...(overHour.size > 0 ? [HOUR.rule] : [])]
  return { account, times: stopped.length, recipients, first: Date.parse(first), by }
}

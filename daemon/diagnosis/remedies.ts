/**
 * The rule behind a refusal, where it stands, and what would let such mail pass: each remedy with the
 * command for it, as it can be pasted into a shell.
 */

import type { Decider, WhyAnswer } from '../control/protocol.ts'
import { countryCodes } from '../policy/country-codes.ts'
import { isFailureAnswer } from '../policy/on-failure.ts'
import type { Refusal } from '../policy/ports/history.ts'
import type { Values } from '../registry/layers.ts'
import { setIn, variableOfUser, variablesFor, variableToSet } from '../registry/rendered-blocks.ts'
import { shellQuote } from '../registry/replog.ts'
import { declarations } from '../registry/variables.ts'
import { foundText } from './found.ts'
import { lookupAdvice } from './lookup-remedies.ts'

export interface Remedy {
  readonly text: string
  readonly command: string
}

export interface Ruling {
  /** `limit (SendingLimit)`; empty: no plugin decided. */
  readonly rule: string
  /** The host variable, or `file:line`, that says what the rule is; empty: not known. */
  readonly place: string
  /** What the plugin has found out, where no other member has it; else empty. */
  readonly found: string
  readonly remedies: readonly Remedy[]
}

/** What is known of a refusal, and of the rule that decided it. */
interface Case {
  readonly refusal: Refusal
  readonly decider: Decider
  readonly place: string
  /** Is it a host variable? */
  readonly isVariable: boolean
  /** Do host variables have an effect? */
  readonly hasVariables: boolean
  readonly values: Values
}

const RECIPIENTS_OF_MESSAGE = 'mtpolicyd/threshold/message'
/** How a block by an administrator is named in a decision and its step. */
export const BLOCK = 'block'
const MEASURE = 'measure'
/** The windows of limits that have a word in commands and a variable for each account. */
const WINDOWS: ReadonlyMap<string, string> = new Map([
  ['day', 'day'],
  ['1h', 'hour'],
  ['1m', 'minute'],
  ['24h', 'rolling'],
])
const DOCTOR: Remedy = {
  text: 'Something has failed, so the mail could not be judged. To find it:',
  command: 'mtpolicyctl doctor',
}

/** `values`: of all host variables, as they are now. */
export function rulingOf(
  refusal: Refusal,
  { decider, origin }: Pick<WhyAnswer, 'decider' | 'origin'>,
  values: Values,
): Ruling {
  if (isBlock(refusal, decider)) return blockOf(refusal)
  const known = decider ?? stepOf(refusal)
  const hasFailed = refusal.why !== 'decided' || isFailureAnswer(refusal.action)
  if (refusal.by === '' || !known) {
    return { rule: refusal.by, place: '', found: '', remedies: hasFailed ? [DOCTOR] : [] }
  }
  const variable = variableIn(known.place, refusal, values)
  const place = variable ?? known.place
  const rule = `${refusal.by} (${known.module})`
  const remedies = hasFailed
    ? [DOCTOR]
    : remediesFor({
        refusal,
        decider: known,
        place,
        isVariable: variable !== undefined,
        hasVariables: origin === 'variables',
        values,
      })
  return { rule, place, found: hasFailed ? '' : foundText(refusal), remedies }
}

/** `mtpolicyctl block` has refused it, before any plugin was run. */
function isBlock({ by, steps }: Refusal, decider: Decider | undefined): boolean {
  if (by !== BLOCK) return false
  return steps ? steps.some(({ module }) => module === MEASURE) : !decider
}

export function blockOf({ account }: Refusal): Ruling {
  const text = `Release ${account}, which ends all measures for it:`
  const remedies = [{ text, command: toldOf('release', [account]) }]
  return { rule: `${BLOCK} (${MEASURE})`, place: '', found: '', remedies }
}

/** Where the configuration in force has no such plugin any more. */
function stepOf({ by, steps = [] }: Refusal): Decider | undefined {
  const step = steps.find(({ plugin }) => plugin === by)
  return (
    step && {
      module: step.module,
      place: step.place,
      per: undefined,
      window: undefined,
      unit: undefined,
    }
  )
}

/** The variable whose value the rule was for this account; undefined: the place is none. */
function variableIn(
  place: string,
  { account, action }: Refusal,
  values: Values,
): string | undefined {
  if (!declarations.some(({ name }) => name === place)) return undefined
  const isOfMessage = place === 'mtpolicyd/threshold' && isTooManyOfMessage(action)
  const variable = isOfMessage ? RECIPIENTS_OF_MESSAGE : place
  const names = variablesFor(variable, account, values.get('mtpolicyd/defaultdomain') ?? '')
  const set = setIn(values)
  return names.find(name => set.has(name)) ?? names.at(-1) ?? variable
}

function remediesFor(one: Case): Remedy[] {
  switch (one.decider.module) {
    case 'AllowedCountries':
      return ofCountry(one)
    case 'SendingLimit':
      return ofLimit(one)
    default:
      return [changed(one)]
  }
}

function ofCountry(one: Case): Remedy[] {
  const { account, country, attributes } = one.refusal
  const address = attributes.client_address ?? ''
  if (countryCodes.has(country)) {
    const text = `Accept mail of ${account} from ${country}, too`
    const options = ['--countries', country]
    const forNow = toldOf('allow', [account], [...options, '--until', '+3d'])
    const forGood = toldOf('allow', [account], options)
    return [
      { text: `${text}, for three days:`, command: forNow },
      ...(one.hasVariables && hasVariables(account)
        ? [{ text: `${text}, for good:`, command: forGood }]
        : []),
    ]
  }
  const variable = variableToSet('mtpolicyd/allowednetworks', account, one.values)
  if (!one.hasVariables || variable === undefined || address === '') return [changed(one)]
  const networks = [one.values.get(variable) ?? '', address].filter(text => text !== '')
  return [
    {
      text: `Accept mail of ${account} from that address, whatever its country:`,
      command: setting(variable, networks.join(',')),
    },
  ]
}

function ofLimit(one: Case): Remedy[] {
  const { refusal, decider, place, isVariable } = one
  const { account, recipients } = refusal
  if (isTooManyOfMessage(refusal.action)) {
    const variable = isVariable
      ? variableToSet(RECIPIENTS_OF_MESSAGE, account, one.values)
      : undefined
    if (variable === undefined) return [changed(one)]
    const most = Math.max(recipients, 2 * (Number(one.values.get(place)) || 0))
    const text = `Let a message of ${account} have more recipients:`
    return [{ text, command: setting(variable, String(most)) }]
  }
  const { used, limit } = refusal.facts
  if (typeof used !== 'number' || typeof limit !== 'number') return [changed(one)]
  const amount = amountOf(refusal, decider)
  // Twice the limit, or more if this mail alone needs it.
  const enough = Math.max(2 * limit, Math.ceil(used) + amount)
  if ((decider.per ?? 'user') === 'user' && account !== '')
    return ofAccount(one, enough, amount <= limit)
  if (!isVariable) return [changed(one)]
  return [{ text: 'Raise the limit:', command: setting(place, String(enough)) }]
}

/** `enough`: a limit with which the mail would have passed. `fits`: it would have if nothing had been used. */
function ofAccount(
  { refusal, decider, isVariable }: Case,
  enough: number,
  fits: boolean,
): Remedy[] {
  const { account, by } = refusal
  const { window = 'day', unit = 'recipients' } = decider
  const word = WINDOWS.get(window)
  // The window stands for limits of recipients; any other limit is called by its name.
  const options = ['--window', unit === 'recipients' ? (word ?? window) : by]
  const ofLimit = word === 'day' && unit === 'recipients' ? [] : options
  const [until, span] = /^\d+m$|^1h$/.test(window) ? ['+2h', 'two hours'] : ['+1d', 'a day']
  const operands = [account, String(enough)]
  const forNow = toldOf('limit', operands, [...ofLimit, '--until', until])
  const forGood = toldOf('limit', operands, ofLimit)
  const again = toldOf('reset', [account], options)
  return [
    { text: `Raise the limit of ${account} for ${span}:`, command: forNow },
    ...(isVariable && hasVariables(account)
      ? [{ text: 'The same for good:', command: forGood }]
      : []),
    ...(fits ? [{ text: `Start the count of ${account} again:`, command: again }] : []),
  ]
}

/** Names with certain characters, such as a backslash, cannot be part of a variable. */
function hasVariables(account: string): boolean {
  return variableOfUser('mtpolicyd/threshold', account) !== undefined
}

/** What a mail takes of its limit, in the limit's unit. */
export function amountOf(
  { recipients, bytes }: Pick<Refusal, 'recipients' | 'bytes'>,
  { unit = 'recipients' }: Pick<Decider, 'unit'>,
): number {
  if (unit === 'messages') return 1
  return unit === 'megabytes' ? Math.ceil(bytes / 1_000_000) : recipients
}

/** The answer of `most_recipients`, whose enhanced status code no other answer of a limit has. */
export function isTooManyOfMessage(action: string): boolean {
  return /^reject 5\.5\.3 /.test(action)
}

/** Where nothing but the administrator's editor helps. */
function changed({ refusal, decider, place, isVariable }: Case): Remedy {
  if (isVariable)
    return { text: 'See what the setting means:', command: `mtpolicyctl info ${place}` }
  const advice =
    lookupAdvice(decider.module, refusal, place) ??
    `Change <Plugin ${refusal.by}>${place === '' ? '' : ` at ${place}`}`
  return { text: `${advice}, then put it in force:`, command: 'mtpolicyctl reload' }
}

function setting(variable: string, value: string): string {
  return `mtpolicyctl set ${shellQuote(`${variable}=${value}`)}`
}

/** A name that begins with a hyphen would be taken for an option. */
function toldOf(
  command: string,
  operands: readonly string[],
  options: readonly string[] = [],
): string {
  const isOption = operands.some(operand => operand.startsWith('-'))
  const words = isOption ? [...options, '--', ...operands] : [...operands, ...options]
  return ['mtpolicyctl', command, ...words].map(shellQuote).join(' ')
}

/**
 * What a running daemon can be told to do or report. Other code in the process calls this interface
 * directly; over a socket it is served by `server.ts` and called by `client.ts`, both by the table below.
 *
 * A new command is a method here, a line in the table, and its work in run/commands/.
 */

import { readDecisionCode } from '../policy/decision-code.ts'
import type { Finding } from '../policy/finding.ts'
import type { AlertList, AlertTested } from '../policy/ports/alerts.ts'
import type { CountrySums, HourlySums, HourSums, RefusalKey } from '../policy/ports/history.ts'
import type { Fields } from '../policy/ports/log.ts'
import type { MaybePromise } from '../system/maybe-promise.ts'
import {
  type CountriesArguments,
  type RefusalListArguments,
  readCountries,
  readRefusalList,
  readSeries,
  type SeriesArguments,
} from './history-arguments.ts'
import type {
  AccountReport,
  DaemonStatus,
  EndedMeasure,
  Explanation,
  Forgotten,
  NewWebToken,
  OrderedMeasure,
  Portion,
  RefusalList,
  ResetCount,
  TopSenders,
  WebLink,
  WebToken,
  WhyAnswer,
} from './protocol.ts'

export interface Control {
  status(given: NoArguments): MaybePromise<DaemonStatus>
  /** Resolves to the warnings of the new configuration; rejects if the old one stays in force. */
  reload(given: NoArguments): MaybePromise<readonly string[]>
  /** Verdicts from now on, as they are given. */
  watch(given: WatchArguments, signal: AbortSignal): AsyncIterable<WatchedVerdict>
  /** Requests of one connection to Postfix from now on, whole, as they are answered. */
  requests(given: RequestsArguments, signal: AbortSignal): AsyncIterable<WatchedRequest>
  /** How a request would be answered now. Nothing is counted. */
  explain(given: ExplainArguments): MaybePromise<Explanation>
  /** What was refused, and by which decision. */
  why(given: RefusalKey): MaybePromise<WhyAnswer>
  /** In force with the next request. `replaced`: those of its kind that it has ended. */
  order(given: OrderArguments): MaybePromise<{
    readonly measure: OrderedMeasure
    readonly replaced: readonly OrderedMeasure[]
  }>
  /** Ends all measures of an account: which. */
  release(given: ReleaseArguments): MaybePromise<readonly OrderedMeasure[]>
  /** The counts of an account begin again: which. */
  reset(given: ResetArguments): MaybePromise<readonly ResetCount[]>
  measures(given: PortionArguments): MaybePromise<Portion<OrderedMeasure>>
  /** The last ones first. */
  endedMeasures(given: PortionArguments): MaybePromise<Portion<EndedMeasure>>
  /** Who sends most. Rejects if no history is kept. */
  top(given: TopArguments): MaybePromise<TopSenders>
  /** All that is known of an account. */
  user(given: UserArguments): MaybePromise<AccountReport>
  /** Names of accounts that begin so, the busiest of late first; none if no history is kept. */
  accounts(given: PrefixArguments): MaybePromise<readonly string[]>
  /** Codes of refusals that begin so, the latest first; none if no history is kept. */
  codes(given: PrefixArguments): MaybePromise<readonly string[]>
  /** Deletes what is kept of an account, but for what limits need; undefined: nothing is known of it. */
  forget(given: ForgetArguments): MaybePromise<Forgotten | undefined>
  /** What accounts have sent, hour by hour, from the history; an empty portion is the last. */
  hours(given: HoursArguments, signal: AbortSignal): AsyncIterable<readonly HourSums[]>
  /** What is wrong with the daemon now, as far as it knows that by itself. */
  findings(given: NoArguments): MaybePromise<readonly Finding[]>
  /** What was told of late, and what holds now. */
  alerts(given: AlertsArguments): MaybePromise<AlertList>
  /** A test alert to all but users: what became of it. Rejects if nobody is to be told. */
  alertTest(given: AlertTestArguments): MaybePromise<readonly AlertTested[]>
  /** A link that logs in to the console once. Rejects, as the next three, if there is no console. */
  webLogin(given: WebLoginArguments): MaybePromise<WebLink>
  webTokens(given: NoArguments): MaybePromise<readonly WebToken[]>
  webTokenAdd(given: WebTokenArguments): MaybePromise<NewWebToken>
  /** What was begun with it ends. */
  webTokenRemove(given: WebTokenArguments): MaybePromise<NoArguments>
  /** Sums of each hour, of all accounts or of one. Rejects if no history is kept. */
  series(given: SeriesArguments): MaybePromise<HourlySums>
  /** Accepted and refused by country. Rejects if no history is kept. */
  countries(given: CountriesArguments): MaybePromise<readonly CountrySums[]>
  /** Refusals that are looked for, page by page. Rejects if no history is kept. */
  refusalList(given: RefusalListArguments): MaybePromise<RefusalList>
}

export type NoArguments = Readonly<Record<never, never>>

export interface WatchArguments {
  /** Only mail of this account. */
  readonly user?: string | undefined
  /** Only mail from this address. */
  readonly client?: string | undefined
  /** Verdicts per second at most, from 1; the others are left out. Undefined: all. */
  readonly most?: number | undefined
}

/** Both as Postfix tells them. */
export interface RequestsArguments {
  /** `client_address` */
  readonly client?: string | undefined
  /** `client_port` (Postfix 3.0) */
  readonly port?: string | undefined
}

export interface ExplainArguments {
  /** What Postfix sends of a mail: values by their names. */
  readonly attributes: Readonly<Record<string, string>>
  /** The port, or the path of the socket, it would come in on; undefined: the first of the configuration. */
  readonly port?: string | undefined
}

type Texts<Name extends string> = { readonly [N in Name]?: string | undefined }

/** Who has ordered it, and why. mtpolicyctl says so: only root can open the socket. */
const ORDERED = ['account', 'by', 'why'] as const
const ORDER = ['kind', 'until', 'countries', 'window', 'threshold', ...ORDERED] as const

/** `kind`: block, allow or limit; `until`: ISO 8601; `threshold`: a whole number, or unlimited. */
export type OrderArguments = Texts<(typeof ORDER)[number]>
export type ReleaseArguments = Texts<'account' | 'by'>
/** Without a window: all counts. */
export type ResetArguments = Texts<(typeof ORDERED)[number] | 'window'>
/** `from`: how many are left out at the beginning; `account`: only of that one. */
export type PortionArguments = Texts<'from' | 'account'>
/** What senders are compared by. */
export const RANKINGS = ['recipients', 'messages', 'refused'] as const
/** Senders in an answer. */
export const MOST_SENDERS = 1000

export interface TopArguments {
  /** Milliseconds since 1970; the hour that it is in counts as a whole. */
  readonly since: number
  /** Undefined: now. */
  readonly until?: number | undefined
  readonly by: (typeof RANKINGS)[number]
  /** How many, 1 to MOST_SENDERS. */
  readonly most: number
}

export interface UserArguments {
  /** As in sasl_username. */
  readonly name: string
}

export interface PrefixArguments {
  readonly prefix: string
}

export interface ForgetArguments {
  readonly account: string
}

export interface HoursArguments {
  /** Milliseconds since 1970. */
  readonly since: number
  readonly until: number
}

/** Alerts in an answer. */
export const MOST_ALERTS = 500

export interface AlertsArguments {
  /** How many, 1 to MOST_ALERTS. */
  readonly most: number
}

export interface AlertTestArguments {
  /** Who has asked for it. */
  readonly by: string
}
/** `role`: read or change; `by`: whose orders will be noted. */
export type WebLoginArguments = Texts<'role' | 'by'>
/** `role`: read, change or metrics. */
export type WebTokenArguments = Texts<'name' | 'role'>

/** The fields of the verdict's log line (mtpolicyd(8)). */
export type WatchedVerdict = Fields

export interface WatchedRequest {
  /** What Postfix sent, in its order. */
  readonly attributes: Readonly<Record<string, string>>
  readonly verdict: WatchedVerdict
}

/** read: changes nothing. change: everything. */
export type Level = 'read' | 'change'

export interface Command<
  Arguments = unknown,
  Kind extends 'answer' | 'stream' = 'answer' | 'stream',
> {
  readonly level: Level
  readonly kind: Kind
  /** Throws a message for the caller. */
  readonly readArguments: (given: unknown) => Arguments
}

export const commands: {
  readonly [Name in keyof Control]: Command<Parameters<Control[Name]>[0], KindOf<Control[Name]>>
} = {
  status: { level: 'read', kind: 'answer', readArguments: given => readTexts(given, []) },
  reload: { level: 'change', kind: 'answer', readArguments: given => readTexts(given, []) },
  watch: {
    level: 'read',
    kind: 'stream',
    readArguments: readWatch,
  },
  // Sender and recipient are more than the log shows.
  requests: {
    level: 'change',
    kind: 'stream',
    readArguments: given => readTexts(given, ['client', 'port']),
  },
  explain: { level: 'read', kind: 'answer', readArguments: readExplain },
  why: { level: 'read', kind: 'answer', readArguments: readRefusalKey },
  order: { level: 'change', kind: 'answer', readArguments: given => readTexts(given, ORDER) },
  release: {
    level: 'change',
    kind: 'answer',
    readArguments: given => readTexts(given, ['account', 'by']),
  },
  reset: {
    level: 'change',
    kind: 'answer',
    readArguments: given => readTexts(given, [...ORDERED, 'window']),
  },
  measures: { level: 'read', kind: 'answer', readArguments: readPortion },
  endedMeasures: { level: 'read', kind: 'answer', readArguments: readPortion },
  top: { level: 'read', kind: 'answer', readArguments: readTop },
  user: {
    level: 'read',
    kind: 'answer',
    readArguments: given => ({ name: readText(given, 'name') }),
  },
  accounts: { level: 'read', kind: 'answer', readArguments: readPrefix },
  codes: { level: 'read', kind: 'answer', readArguments: readPrefix },
  forget: { level: 'change', kind: 'answer', readArguments: readForget },
  hours: { level: 'read', kind: 'stream', readArguments: readHours },
  findings: { level: 'read', kind: 'answer', readArguments: given => readTexts(given, []) },
  alerts: { level: 'read', kind: 'answer', readArguments: readAlerts },
  alertTest: {
    level: 'change',
    kind: 'answer',
    readArguments: given => ({ by: readText(given, 'by') }),
  },
  webLogin: {
    level: 'change',
    kind: 'answer',
    readArguments: given => readTexts(given, ['role', 'by']),
  },
  webTokens: { level: 'change', kind: 'answer', readArguments: given => readTexts(given, []) },
  webTokenAdd: {
    level: 'change',
    kind: 'answer',
    readArguments: given => readTexts(given, ['name', 'role']),
  },
  webTokenRemove: {
    level: 'change',
    kind: 'answer',
    readArguments: given => readTexts(given, ['name', 'role']),
  },
  series: { level: 'read', kind: 'answer', readArguments: readSeries },
  countries: { level: 'read', kind: 'answer', readArguments: readCountries },
  refusalList: { level: 'read', kind: 'answer', readArguments: readRefusalList },
}

type KindOf<Method extends (...given: never[]) => unknown> =
  ReturnType<Method> extends AsyncIterable<unknown> ? 'stream' : 'answer'

export type CommandName = keyof Control
type NamesOf<Kind> = {
  [Name in CommandName]: KindOf<Control[Name]> extends Kind ? Name : never
}[CommandName]
export type AnswerName = NamesOf<'answer'>
export type StreamName = NamesOf<'stream'>

export type ArgumentsOf<Name extends CommandName> = Parameters<Control[Name]>[0]
export type ResultOf<Name extends AnswerName> = Awaited<ReturnType<Control[Name]>>
export type ItemOf<Name extends StreamName> =
  ReturnType<Control[Name]> extends AsyncIterable<infer Item> ? Item : never

export function isCommand(name: string): name is CommandName {
  return Object.hasOwn(commands, name)
}

function readExplain(given: unknown): ExplainArguments {
  const { attributes, ...rest } = objectOf(given, 'arguments')
  const read: [name: string, value: string][] = []
  for (const [name, value] of Object.entries(objectOf(attributes, 'attributes'))) {
    if (typeof value !== 'string' || `${name}${value}`.includes('\n')) {
      throw new TypeError(`attribute "${name}" must be a string of one line`)
    }
    read.push([name, value])
  }
  return { ...readTexts(rest, ['port']), attributes: Object.fromEntries(read) }
}

function readRefusalKey(given: unknown): RefusalKey {
  const { code, queueId, instance } = readTexts(given, ['code', 'queueId', 'instance'])
  const keys = [
    code === undefined ? [] : { code: readCode(code) },
    queueId === undefined ? [] : { queueId },
    instance === undefined ? [] : { instance },
  ].flat()
  const [key] = keys
  if (key === undefined || keys.length > 1) {
    throw new TypeError('expected one of the arguments "code", "queueId" and "instance"')
  }
  return key
}

function readCode(text: string): string {
  const code = readDecisionCode(text)
  if (code === undefined) throw new TypeError('argument "code" must be a code such as K3F-9QT')
  return code
}

function readWatch(given: unknown): WatchArguments {
  if (given === undefined) return {}
  const { most, ...rest } = objectOf(given, 'arguments')
  const texts = readTexts(rest, ['user', 'client'])
  if (most === undefined) return texts
  if (typeof most === 'number' && Number.isInteger(most) && most >= 1) return { ...texts, most }
  throw new TypeError('argument "most" must be a whole number from 1')
}

function readPortion(given: unknown): PortionArguments {
  return readTexts(given, ['from', 'account'])
}

function readTop(given: unknown): TopArguments {
  const { since, until, by, most, ...rest } = objectOf(given, 'arguments')
  readTexts(rest, [])
  const ranking = RANKINGS.find(one => one === by)
  if (typeof since !== 'number') throw new TypeError('argument "since" must be a number')
  if (until !== undefined && typeof until !== 'number') {
    throw new TypeError('argument "until" must be a number')
  }
  if (!ranking) throw new TypeError(`argument "by" must be one of ${RANKINGS.join(', ')}`)
  if (typeof most !== 'number' || !Number.isInteger(most) || most < 1 || most > MOST_SENDERS) {
    throw new TypeError(`argument "most" must be a whole number from 1 to ${MOST_SENDERS}`)
  }
  return { since, until, by: ranking, most }
}

function readAlerts(given: unknown): AlertsArguments {
  const { most, ...rest } = objectOf(given, 'arguments')
  readTexts(rest, [])
  if (typeof most === 'number' && Number.isInteger(most) && most >= 1 && most <= MOST_ALERTS) {
    return { most }
  }
  throw new TypeError(`argument "most" must be a whole number from 1 to ${MOST_ALERTS}`)
}

function readPrefix(given: unknown): PrefixArguments {
  return { prefix: readText(given, 'prefix') }
}

/** The only argument. */
function readText<Name extends string>(given: unknown, name: Name): string {
  const { [name]: text } = readTexts(given, [name])
  if (text === undefined) throw new TypeError(`argument "${name}" is missing`)
  return text
}

function readForget(given: unknown): ForgetArguments {
  return { account: readText(given, 'account') }
}

function readHours(given: unknown): HoursArguments {
  const { since, until } = objectOf(given, 'arguments')
  if (typeof since === 'number' && typeof until === 'number') return { since, until }
  throw new TypeError('"since" and "until" must be milliseconds since 1970')
}

function objectOf(given: unknown, what: string): Readonly<Record<string, unknown>> {
  if (typeof given === 'object' && given !== null && !Array.isArray(given)) return { ...given }
  throw new TypeError(`"${what}" must be an object`)
}

/** Optional texts by name. Another name is an error: the caller would believe that it has an effect. */
function readTexts<Name extends string>(given: unknown, names: readonly Name[]): Texts<Name> {
  if (given === undefined) return {}
  const texts: { [N in Name]?: string } = {}
  for (const [name, value] of Object.entries(objectOf(given, 'arguments'))) {
    const known = names.find(one => one === name)
    if (known === undefined) throw new TypeError(`unknown argument "${name}"`)
    if (typeof value !== 'string') throw new TypeError(`argument "${name}" must be a string`)
    texts[known] = value
  }
  return texts
}

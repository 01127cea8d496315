/**
 * What a running daemon can be told to do or report. Other code in the process calls this interface
 * directly; over a socket it is served by `server.ts` and called by `client.ts`, both by the table below.
 *
 * A new command is a method here, a line in the table, and its work in run/daemon.ts.
 */

import type { HourSums } from '../policy/ports/history.ts'
import type { Fields } from '../policy/ports/log.ts'
import type { MaybePromise } from '../system/maybe-promise.ts'
import type { DaemonStatus, Explanation } from './protocol.ts'

export interface Control {
  status(given: NoArguments): MaybePromise<DaemonStatus>
  /** Resolves to the warnings of the new configuration; rejects if the old one stays in force. */
  reload(given: NoArguments): MaybePromise<readonly string[]>
  /** Verdicts from now on, as they are given. */
  watch(given: WatchArguments, signal: AbortSignal): AsyncIterable<WatchedVerdict>
  /** How a request would be answered now. Nothing is counted. */
  explain(given: ExplainArguments): MaybePromise<Explanation>
  /** What accounts have sent, hour by hour, from the history; an empty portion is the last. */
  hours(given: HoursArguments, signal: AbortSignal): AsyncIterable<readonly HourSums[]>
}

export type NoArguments = Readonly<Record<never, never>>

export interface WatchArguments {
  /** Only mail of this account. */
  readonly user?: string | undefined
  /** Only mail from this address. */
  readonly client?: string | undefined
}

export interface ExplainArguments {
  /** What Postfix sends of a mail: values by their names. */
  readonly attributes: Readonly<Record<string, string>>
  /** The port, or the path of the socket, it would come in on; undefined: the first of the configuration. */
  readonly port?: string | undefined
}

export interface HoursArguments {
  /** Milliseconds since 1970. */
  readonly since: number
  readonly until: number
}

/** The fields of the verdict's log line (mtpolicyd(8)). */
export type WatchedVerdict = Fields

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
    readArguments: given => readTexts(given, ['user', 'client']),
  },
  explain: { level: 'read', kind: 'answer', readArguments: readExplain },
  hours: { level: 'read', kind: 'stream', readArguments: readHours },
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
function readTexts<Name extends string>(
  given: unknown,
  names: readonly Name[],
): { readonly [N in Name]?: string | undefined } {
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

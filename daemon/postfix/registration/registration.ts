/**
 * What registering with Postfix needs and returns, on any host.
 *
 * `register.ts` chooses between Postfix's files as text (plain Debian) and UCR's variables
 * (`ucs.ts`); both return the same kind of result. Postfix is reloaded if it is running, never
 * started.
 */

import type { Run } from '../../system/external-program.ts'
import { type Endpoint, type Listener, listenersOf } from '../smtpd/endpoint.ts'
import { compareLevels } from '../smtpd/expand.ts'
import type { PostfixInstance } from '../smtpd/instance.ts'
import { readPolicyItem } from '../smtpd/policy-item.ts'
import type { Answer, Protection } from '../smtpd/protection.ts'
import type { Target } from '../smtpd/reach.ts'
import { recognise } from './own-items.ts'

export interface RegistrationOptions {
  readonly run: Run
  readonly endpoint: Endpoint
  /** Where a running daemon listens; default: where `endpoint` says. */
  readonly listeners?: readonly Listener[]
  /** Former endpoints: items for them are moved. */
  readonly was?: readonly Endpoint[]
  readonly stateFile: string
  /** Instances; default: all enabled ones (`unregister`: every recorded one as well). */
  readonly configDirs?: readonly string[]
  /** Present where UCR is the registry. */
  readonly ucr?: UcrAccess
  /** Does any process on this host listen there? */
  readonly isListening?: (address: string, port: number) => boolean
  /** Keeps other commands from changing the same files meanwhile. */
  readonly locked?: <T>(work: () => Promise<T>) => Promise<T>
}

/** Options on a host where UCR renders Postfix's files. */
export interface UcsOptions extends RegistrationOptions {
  readonly ucr: UcrAccess
}

/** UCR on a host: read from its own files, written through its own program. */
export interface UcrAccess {
  readonly program: string
  /** The directory that contains /etc/univention, /etc/postfix and dpkg's files. */
  readonly root: string
  /** The layers as they are now. */
  view(): UcrView
  /** `mtpolicyd/postfix/register`: if off, an administrator's own entry adds nothing else. */
  readonly mayComplete: boolean
}

export interface UcrView {
  /** Lowest first. */
  readonly layers: readonly {
    readonly scope: string
    readonly values: ReadonlyMap<string, string>
  }[]
  readonly merged: ReadonlyMap<string, string>
}

export type Outcome =
  | 'registered'
  | 'already'
  | 'unregistered'
  | 'nothing'
  | 'no-postfix'
  | 'refused'
  | 'failed'

/** How many of the services where users log in query the daemon. */
export type Coverage = 'complete' | 'partial' | 'none'

export interface RegistrationResult {
  readonly configDir: string
  readonly outcome: Outcome
  /** False if an administrator has to do something; then `reasons` says what. */
  readonly ok: boolean
  readonly reasons: readonly string[]
  readonly notes: readonly string[]
  readonly item?: string
  /** Absent if nothing is known about the services. */
  readonly coverage?: Coverage
  readonly services?: readonly { readonly name: string; readonly answer: Answer }[]
  /** What was changed in UCR: `KEY=VALUE`, or `KEY` for one that was unset. */
  readonly variables?: readonly string[]
  /** What to add to the source of a generated file; each line works when pasted. */
  readonly linesToAdd?: readonly { readonly service?: string; readonly line: string }[]
  readonly reloaded: boolean
}

export function answer(
  configDir: string,
  outcome: Outcome,
  reasons: readonly string[] = [],
  notes: readonly string[] = [],
): RegistrationResult {
  const isGood = !['no-postfix', 'refused', 'failed'].includes(outcome)
  return { configDir, outcome, ok: isGood && reasons.length === 0, reasons, notes, reloaded: false }
}

/**
 * One after the other: instances share the record. An error of the system becomes a result, too.
 */
export async function inTurn(
  configDirs: readonly string[],
  act: (configDir: string) => Promise<RegistrationResult>,
): Promise<RegistrationResult[]> {
  const results: RegistrationResult[] = []
  for (const configDir of configDirs) {
    try {
      results.push(await act(configDir))
    } catch (error) {
      if (!(error instanceof Error)) throw error
      results.push(answer(configDir, 'failed', [error.message]))
    }
  }
  return results
}

export async function reloadIfRunning(run: Run, instance: PostfixInstance) {
  if (!instance.isRunning) return { reloaded: false, reasons: [] }
  const { status, stderr } = await run(['postfix', '-c', instance.configDir, 'reload'])
  if (status === 0) return { reloaded: true, reasons: [] }
  return { reloaded: false, reasons: [`postfix reload failed: ${stderr.trim() || status}`] }
}

/** The endpoints that items may be meant for. `recorded`: those at the time of registration. */
export function targetOf(options: RegistrationOptions, recorded: readonly Endpoint[] = []): Target {
  return {
    listeners: options.listeners ?? listenersOf(options.endpoint),
    formerPorts: [...(options.was ?? []), ...recorded].map(({ port }) => port),
    ...(options.isListening ? { isListening: options.isListening } : {}),
  }
}

/** How much of the users' mail the daemon is queried about. Complete if there are no logins. */
export function coverageOf(protections: readonly Protection[]): Coverage {
  const answers = protections.map(({ answer: one }) => one)
  const users = answers.filter(one => ['asked', 'not asked', 'perhaps'].includes(one))
  if (users.every(one => one === 'asked')) return 'complete'
  return users.every(one => one === 'not asked') ? 'none' : 'partial'
}

/** Every place of an instance that queries one of these endpoints: file, line, service, item. */
export function mentions(instance: PostfixInstance, endpoints: readonly Endpoint[]): Mention[] {
  const found = new Map<string, Mention>()
  const look = (parameter: string, value: string, file: string, line: number, service?: string) => {
    for (const item of recognise(value, endpoints)) {
      found.set(`${file}:${line} ${item}`, {
        place: `${file}:${line}`,
        parameter,
        item,
        ...(service === undefined ? {} : { service }),
        defers: defersWithoutUs(item, instance.version),
      })
    }
  }
  for (const [parameter, { value, place }] of instance.settings) {
    if (place) look(parameter, value, place.file, place.line)
  }
  for (const { name, master } of instance.services) {
    for (const option of master.options) {
      look(option.name, option.value, instance.masterCf.file, option.line, name)
    }
  }
  return [...found.values()]
}

export interface Mention {
  /** `FILE:LINE` */
  readonly place: string
  readonly parameter: string
  readonly service?: string
  readonly item: string
  /** Without the daemon, Postfix answers 451 to mail for which this item is evaluated. */
  readonly defers: boolean
}

/** An item without default_action defers all mail while the server does not answer. */
function defersWithoutUs(item: string, version: string): boolean {
  const argument = /^check_policy_service[\s,]+([\s\S]*)$/i.exec(item)?.[1] ?? ''
  const read = readPolicyItem(argument, version)
  if (typeof read === 'string' || compareLevels(version, '3.0') < 0) return true
  return !/^(?:dunno|ok|permit)\b/i.test(read.options.get('default_action') ?? '')
}

/** An item that remains, and what it means once the daemon is gone. */
export function stillAsks({ place, parameter, item, defers }: Mention): string {
  const consequence = defers
    ? 'without the daemon, mail WILL BE DEFERRED (451): remove it, then postfix reload'
    : 'without the daemon, mail passes after a second; remove it'
  return `still queries the daemon: ${place}: ${parameter}: ${item} (${consequence})`
}

/**
 * What it means to register with Postfix, on any host: what is needed, what came of it.
 *
 * `register.ts` chooses between main.cf as text (plain Debian) and UCR's variables (`ucs.ts`); both
 * give the same kind of result. Postfix is reloaded if it runs, never started.
 */

import type { Run } from './external-program.ts'
import type { PostfixInstance } from './instance.ts'
import { END_OF_DATA, type Endpoint, recognise, restrictionItem } from './restriction-list.ts'

export interface RegistrationOptions {
  readonly run: Run
  readonly endpoint: Endpoint
  readonly stateFile: string
  /** Instances; default: the primary one (`unregister`: every recorded one as well). */
  readonly configDirs?: readonly string[]
  /** Where UCR is the registry. */
  readonly ucr?: UcrAccess
}

/** Where that is so, and Postfix's files come from it. */
export interface UcsOptions extends RegistrationOptions {
  readonly ucr: UcrAccess
}

/** UCR of a host: read from its own files, written by its own program. */
export interface UcrAccess {
  readonly program: string
  /** Below which /etc/univention, /etc/postfix and dpkg's own files lie. */
  readonly root: string
  /** The layers as they are now. */
  view(): UcrView
  /** `mtpolicyd/postfix/register`: without it an administrator's own entry brings nothing along. */
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

export interface RegistrationResult {
  readonly configDir: string
  readonly outcome: Outcome
  /** False for what an administrator has to look at; then `reasons` says why. */
  readonly ok: boolean
  readonly reasons: readonly string[]
  readonly notes: readonly string[]
  readonly item?: string
  /** What was changed in UCR: `KEY=VALUE`, or `KEY` for one that is gone. */
  readonly variables?: readonly string[]
  /** Where a file is generated: what to add at its source. */
  readonly lineToAdd?: string
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

/** One after the other: instances share the record. What the system refuses is a result, too. */
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

/** Every place of an instance that asks one of these endpoints: `NAME: item`. */
export function mentions(
  instance: PostfixInstance,
  endpoints: readonly Endpoint[],
  withEndOfData = false,
): string[] {
  const lists = [...instance.settings]
  if (withEndOfData) lists.unshift([END_OF_DATA, instance.endOfData])
  return lists.flatMap(([name, value]) =>
    recognise(value, endpoints).map(item => `${name}: ${item}`),
  )
}

/** What an administrator should know about services that do not use main.cf's end-of-data list. */
export function serviceNotes(instance: PostfixInstance, endpoint: Endpoint): string[] {
  const notes = instance.services.flatMap(({ name, authenticates, override }) => {
    // Empty is how a re-injection service says that it wants no second look.
    if (!override || !authenticates || recognise(override, [endpoint]).length > 0) return []
    return [
      `${name} has its own ${END_OF_DATA} in master.cf and does not ask the daemon; ` +
        `put there: -o ${END_OF_DATA}=${itemWithoutBlanks(endpoint, instance.version)},${override.replace(/,?\s+/g, ',')}`,
    ]
  })
  return [...notes, ...otherPlaces(instance, endpoint)]
}

/** Lists besides the end-of-data lists that ask the daemon. */
export function otherPlaces(instance: PostfixInstance, endpoint: Endpoint): string[] {
  return mentions(instance, [endpoint])
    .filter(place => !place.includes(`/${END_OF_DATA}:`))
    .map(place => `also asked from ${place}`)
}

/** For `-o NAME=VALUE` in master.cf, where a blank ends the value. */
export function itemWithoutBlanks(endpoint: Endpoint, mailVersion: string): string {
  const item = restrictionItem(endpoint, mailVersion).replace(/,? +/g, ',')
  return item.replace('{,', '{').replace(',}', '}')
}

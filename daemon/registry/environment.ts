/**
 * MTPOLICYD_*: variables for containers, above every layer.
 *
 * Read from the process's own environment and from /etc/default/univention-mtpolicyd (the
 * environment wins). Applied when the daemon loads, never by `set`, so stored values stay as they
 * were set. A bad value or a misspelt name is reported with its place, and the value of the layer
 * below is used.
 *
 * Where systemd listens for the daemon, host and port are not taken from here: systemd's unit and
 * Postfix would keep the old address, where nobody would answer.
 */

import { lstatSync, readlinkSync } from 'node:fs'
import { join } from 'node:path'
import { parse } from 'dotenv'
import { nearestName, type Place, type Problem } from '../policy/problem.ts'
import { plainText } from '../text/plain-text.ts'
import { isErrno, readText } from './layers.ts'
import { checkValue, printable } from './value-types.ts'
import { isPattern, type Variable } from './variables.ts'

const PREFIX = 'MTPOLICYD_'

/** Values that the socket unit contains, too. */
const LISTENING = ['mtpolicyd/host', 'mtpolicyd/port']

const SOCKET = 'univention-mtpolicyd.socket'
/** The first directory that has the unit counts: systemd.unit(5). */
const UNIT_FOLDERS = [
  'etc/systemd/system',
  'run/systemd/system',
  'usr/lib/systemd/system',
  'lib/systemd/system',
]

/** Are the daemon's listening sockets on this host those of systemd's unit? Not if it is masked. */
export function systemdListens(root: string): boolean {
  if (root !== '/' || kindOf('/run/systemd/system') === undefined) return false
  const unit = UNIT_FOLDERS.map(folder => join(root, folder, SOCKET)).find(kindOf)
  return unit !== undefined && kindOf(unit) !== 'masked'
}

function kindOf(path: string): 'there' | 'masked' | undefined {
  try {
    if (!lstatSync(path).isSymbolicLink()) return 'there'
    return readlinkSync(path) === '/dev/null' ? 'masked' : 'there'
  } catch {
    return undefined
  }
}

export interface EnvironmentLayer {
  readonly values: ReadonlyMap<string, string>
  readonly problems: readonly Problem[]
}

/** `mtpolicyd/log/format` is MTPOLICYD_LOG_FORMAT. Patterns have no such name. */
export function environmentName(variable: string): string {
  return variable.toUpperCase().replace(/[^A-Z0-9]/g, '_')
}

export function readEnvironment(
  variables: readonly Variable[],
  env: NodeJS.ProcessEnv,
  defaultsFile: string,
  systemdHasSockets = false,
): EnvironmentLayer {
  const known = new Map(
    variables
      .filter(({ name }) => !isPattern(name))
      .map(variable => [environmentName(variable.name), variable]),
  )
  const values = new Map<string, string>()
  const problems: Problem[] = []

  const take = (name: string, value: string, place: Place): void => {
    const variable = known.get(name)
    if (variable === undefined) {
      const near = nearest(name, known)
      const hint = near === undefined ? '' : `; did you mean ${near}?`
      const message = `${name} is not a variable of this package and is ignored${hint}`
      problems.push({ severity: 'warning', place, message })
      return
    }
    const check = checkValue(variable, value)
    if (check.kind === 'good') {
      if (systemdHasSockets && LISTENING.includes(variable.name)) {
        const message = `${name} is ignored, because systemd listens for the daemon and Postfix connects there; instead: mtpolicyctl set ${variable.name}=${check.value}`
        problems.push({ severity: 'warning', place, message })
        return
      }
      values.set(variable.name, check.value)
      return
    }
    const why = check.kind === 'bad' ? check.expected : check.reason
    const message = `${name}=${printable(value)}: ${why}; the value below it is used`
    problems.push({ severity: 'error', place, message })
  }

  const text = readIfAllowed(defaultsFile, problems)
  for (const [name, value] of Object.entries(parse(text))) {
    if (name.startsWith(PREFIX) && env[name] === undefined) {
      take(name, value, placeIn(defaultsFile, text, name))
    }
  }
  for (const [name, value] of Object.entries(env)) {
    if (!name.startsWith(PREFIX) || value === undefined) continue
    // Names that only mean something to the process itself are not checked here.
    if (!known.has(name) && nearest(name, known) === undefined) continue
    take(name, value, { file: `environment variable ${name}`, line: 1, column: 1 })
  }
  return { values, problems }
}

/** The common prefix must not make them look similar. */
function nearest(name: string, known: ReadonlyMap<string, Variable>): string | undefined {
  const names = Array.from(known.keys(), candidate => candidate.slice(PREFIX.length))
  const near = nearestName(name.slice(PREFIX.length), names)
  return near === undefined ? undefined : PREFIX + near
}

function readIfAllowed(file: string, problems: Problem[]): string {
  try {
    return plainText(readText(file) ?? '')
  } catch (error) {
    if (isErrno(error, 'ENOTDIR')) return ''
    if (!isErrno(error, 'EACCES')) throw error
    const message = 'cannot be read: permission denied; its settings are ignored'
    problems.push({ severity: 'error', place: { file, line: 1, column: 1 }, message })
    return ''
  }
}

/** dotenv does not report positions; the last assignment counts. */
function placeIn(file: string, text: string, name: string): Place {
  const lines = text.split('\n')
  const index = lines.findLastIndex(line => {
    return new RegExp(`^\\s*(export\\s+)?${name}\\s*[=:]`).test(line)
  })
  return {
    file,
    line: Math.max(1, index + 1),
    column: Math.max(0, lines[index]?.indexOf(name) ?? 0) + 1,
  }
}

/**
 * MTPOLICYD_*: variables for containers, above every layer.
 *
 * Read from the process's own environment and from /etc/default/univention-mtpolicyd (the
 * environment wins). Applied when the daemon loads, never by `set`: what is set stays what somebody
 * set. A bad value or a misspelt name is a problem with its place, and the value below is used.
 */

import { parse } from 'dotenv'
import { nearestName, type Place, type Problem } from '../policy/problem.ts'
import { isErrno, readText } from './layers.ts'
import { checkValue, printable } from './value-types.ts'
import { isPattern, type Variable } from './variables.ts'

const PREFIX = 'MTPOLICYD_'

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
      const message = `${name} is no variable of this package and is ignored${hint}`
      problems.push({ severity: 'warning', place, message })
      return
    }
    const check = checkValue(variable, value)
    if (check.kind === 'good') {
      values.set(variable.name, check.value)
      return
    }
    const why = check.kind === 'bad' ? check.expected : check.reason
    const message = `${name}=${printable(value)}: ${why}; the value below it is used`
    problems.push({ severity: 'error', place, message })
  }

  const text = readIfAllowed(defaultsFile)
  for (const [name, value] of Object.entries(parse(text))) {
    if (name.startsWith(PREFIX) && env[name] === undefined) {
      take(name, value, placeIn(defaultsFile, text, name))
    }
  }
  for (const [name, value] of Object.entries(env)) {
    if (!name.startsWith(PREFIX) || value === undefined) continue
    // What only means something to the process itself is not for us to judge.
    if (!known.has(name) && nearest(name, known) === undefined) continue
    take(name, value, { file: `environment variable ${name}`, line: 1, column: 1 })
  }
  return { values, problems }
}

/** The prefix they all share must not make them alike. */
function nearest(name: string, known: ReadonlyMap<string, Variable>): string | undefined {
  const names = Array.from(known.keys(), candidate => candidate.slice(PREFIX.length))
  const near = nearestName(name.slice(PREFIX.length), names)
  return near === undefined ? undefined : PREFIX + near
}

function readIfAllowed(file: string): string {
  try {
    return readText(file) ?? ''
  } catch (error) {
    if (isErrno(error, 'ENOTDIR', 'EACCES')) return ''
    throw error
  }
}

/** dotenv keeps no positions; the last assignment is the one that counts. */
function placeIn(file: string, text: string, name: string): Place {
  const lines = text.split(/\r?\n/)
  const index = lines.findLastIndex(line => {
    return new RegExp(`^\\s*(export\\s+)?${name}\\s*[=:]`).test(line)
  })
  return {
    file,
    line: Math.max(1, index + 1),
    column: Math.max(0, lines[index]?.indexOf(name) ?? 0) + 1,
  }
}

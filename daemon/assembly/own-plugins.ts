/**
 * The operator's own plugins: every .ts, .mts, .js and .mjs file in the plugins folder (Node runs
 * TypeScript by stripping the types). If one cannot be loaded, that is a problem at its file, and the
 * others load.
 *
 * Such a file runs with the rights of the process that loads it, which may be root, so no other user may be
 * able to write to it or to replace it: not in its folder, in a folder above, or where a link leads.
 * What the file itself imports is not checked.
 */

import { lstatSync, readdirSync, realpathSync, statSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { verdictFieldNames } from '../policy/facts.ts'
import type { Plugin } from '../policy/plugin.ts'
import { pluginApi } from '../policy/plugin-api.ts'
import { error, type Problem } from '../policy/problem.ts'
import { describeError } from '../system/errors.ts'

export interface OwnPlugins {
  readonly plugins: readonly Plugin[]
  readonly problems: readonly Problem[]
}

/** @param taken names of the built-in plugins; they cannot be replaced. */
export async function loadOwnPlugins(
  folder: string,
  taken: readonly string[],
): Promise<OwnPlugins> {
  const plugins: Plugin[] = []
  const problems: Problem[] = []
  const listed = filesIn(folder)
  if (listed instanceof Error) {
    problems.push(error({ file: folder, line: 1, column: 1 }, describeError(listed)))
    return { plugins, problems }
  }
  for (const name of listed) {
    const path = join(folder, name)
    const wrong = (message: string): void => {
      problems.push(error({ file: path, line: 1, column: 1 }, message))
    }
    try {
      const open = writableByOthers(path)
      if (open !== undefined) {
        wrong(`not loaded: ${open} is writable by users other than root and its owner`)
        continue
      }
      // A file that has changed since the last reload is a new module.
      const version = statSync(path).mtimeMs
      const { default: make } = await import(`${pathToFileURL(path).href}?${version}`)
      if (typeof make !== 'function') {
        wrong('expected "export default" with a function that takes the plugin API')
        continue
      }
      const made: unknown = make(pluginApi)
      for (const plugin of Array.isArray(made) ? made : [made]) {
        if (!isPlugin(plugin)) wrong('the function has to return what definePlugin returns')
        else if ([...taken, ...plugins.map(one => one.name)].includes(plugin.name)) {
          wrong(`a plugin named "${plugin.name}" exists already`)
        } else plugins.push(plugin)
      }
    } catch (failure) {
      wrong(describeError(failure))
    }
  }
  return { plugins, problems }
}

/** The folder is optional; one that exists and cannot be read is an error. */
function filesIn(folder: string): string[] | Error {
  try {
    return readdirSync(folder)
      .filter(name => /^[^.].*(?<!\.d)\.m?[jt]s$/.test(name))
      .toSorted()
  } catch (failure) {
    const isClosed = failure instanceof Error && 'code' in failure && failure.code === 'EACCES'
    return isClosed ? failure : []
  }
}

/** The first path between the file and the root that another user could change. */
function writableByOthers(file: string): string | undefined {
  const real = realpathSync(file)
  const ways = real === file ? [file] : [file, real]
  return ways.flatMap(wayTo).find(path => {
    const { uid, mode } = lstatSync(path)
    const isOurs = uid === 0 || uid === process.getuid?.()
    return !isOurs || ((mode & 0o022) !== 0 && !isExempt(path, mode))
  })
}

function wayTo(path: string): string[] {
  const above = dirname(path)
  return above === path ? [path] : [path, ...wayTo(above)]
}

/** A link has no mode of its own; in a folder like /tmp only the owner can replace a file. */
function isExempt(path: string, mode: number): boolean {
  const stats = lstatSync(path)
  return stats.isSymbolicLink() || (stats.isDirectory() && (mode & 0o1000) !== 0)
}

/** What definePlugin returns, or something of the same shape. */
function isPlugin(value: unknown): value is Plugin {
  return (
    typeof value === 'object' &&
    value !== null &&
    'name' in value &&
    typeof value.name === 'string' &&
    /^\w+$/.test(value.name) &&
    'settings' in value &&
    typeof value.settings === 'object' &&
    value.settings !== null &&
    'create' in value &&
    typeof value.create === 'function' &&
    (!('facts' in value) || areFacts(value.facts))
  )
}

/** Names that a log line can have, beside those it has already. */
function areFacts(value: unknown): boolean {
  if (typeof value !== 'object' || value === null) return false
  return Object.entries(value).every(
    ([name, fact]) =>
      /^[a-z][a-z0-9_]*$/.test(name) &&
      !verdictFieldNames.has(name) &&
      (fact?.about === 'client' || fact?.about === 'decision'),
  )
}

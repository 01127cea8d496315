/**
 * Plugins of the operator's own: every .ts, .mts, .js and .mjs file of the plugins folder (Node runs
 * TypeScript by leaving out the types). What is wrong with one is a problem at its file, and the
 * others load.
 *
 * Such a file runs with the rights of whoever loads it, root included, so nobody else may be able
 * to write it, or to put another one in its place: not in its folder, in a folder above, or where a
 * link leads. What it imports itself is its own affair.
 */

import { lstatSync, readdirSync, realpathSync, statSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { describeError } from './policy/errors.ts'
import type { Plugin } from './policy/plugin.ts'
import { pluginApi } from './policy/plugin-api.ts'
import { error, type Problem } from './policy/problem.ts'

export interface OwnPlugins {
  readonly plugins: readonly Plugin[]
  readonly problems: readonly Problem[]
}

/** @param taken names of the plugins there are already; they cannot be replaced. */
export async function loadOwnPlugins(
  folder: string,
  taken: readonly string[],
): Promise<OwnPlugins> {
  const plugins: Plugin[] = []
  const problems: Problem[] = []
  for (const name of filesIn(folder)) {
    const path = join(folder, name)
    const wrong = (message: string): void => {
      problems.push(error({ file: path, line: 1, column: 1 }, message))
    }
    try {
      const open = writableByOthers(path)
      if (open !== undefined) {
        wrong(`not loaded: ${open} may be written by others than root and its owner`)
        continue
      }
      // A file that has changed since the last reload is another module.
      const version = statSync(path).mtimeMs
      const { default: make } = await import(`${pathToFileURL(path).href}?${version}`)
      if (typeof make !== 'function') {
        wrong('expected "export default" of a function that takes the plugin API')
        continue
      }
      const made: unknown = make(pluginApi)
      for (const plugin of Array.isArray(made) ? made : [made]) {
        if (!isPlugin(plugin)) wrong('expected what definePlugin returns')
        else if ([...taken, ...plugins.map(one => one.name)].includes(plugin.name)) {
          wrong(`there is a plugin "${plugin.name}" already`)
        } else plugins.push(plugin)
      }
    } catch (failure) {
      wrong(describeError(failure))
    }
  }
  return { plugins, problems }
}

function filesIn(folder: string): string[] {
  try {
    return readdirSync(folder)
      .filter(name => /^[^.].*(?<!\.d)\.m?[jt]s$/.test(name))
      .toSorted()
  } catch {
    // There need not be such a folder.
    return []
  }
}

/** The first on the way from the file to the root that somebody else could change. */
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

/** A link has no mode of its own; in a folder like /tmp only its owner replaces what is ours. */
function isExempt(path: string, mode: number): boolean {
  const stats = lstatSync(path)
  return stats.isSymbolicLink() || (stats.isDirectory() && (mode & 0o1000) !== 0)
}

/** What definePlugin makes, or something that does the same. */
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
    typeof value.create === 'function'
  )
}

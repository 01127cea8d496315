/**
 * Plugins of the operator's own: every .ts, .mts, .js and .mjs file of the plugins folder (Node runs
 * TypeScript by leaving out the types). What is wrong with one is a problem at its file, and the
 * others load.
 *
 * Such a file runs with the rights of whoever loads it, root included, so nobody else may be able
 * to write it.
 */

import { readdirSync, statSync } from 'node:fs'
import { join } from 'node:path'
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
      const open = [folder, path].find(isWritableByOthers)
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

function isWritableByOthers(path: string): boolean {
  const { uid, mode } = statSync(path)
  const isOurs = uid === 0 || uid === process.getuid?.()
  return !isOurs || (mode & 0o022) !== 0
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

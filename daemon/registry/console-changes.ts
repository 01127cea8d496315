/**
 * What the console has changed, so that it can be undone: a file beside the registry, which root alone writes. The
 * latest change first.
 */

import { dirname, join } from 'node:path'
import * as v from 'valibot'
import { makeFolder } from '../system/made-folder.ts'
import { readText, replaceFile, statIfThere } from './layers.ts'
import type { Registry } from './registry.ts'

/** Changes that are kept. */
const MOST_KEPT = 50

const schema = v.array(
  v.object({
    id: v.string(),
    at: v.number(),
    by: v.string(),
    values: v.array(
      v.object({
        name: v.string(),
        before: v.nullable(v.string()),
        after: v.nullable(v.string()),
      }),
    ),
    undone: v.boolean(),
    undoneBy: v.optional(v.string()),
  }),
)

export type ConsoleChange = v.InferOutput<typeof schema>[number]

const fileOf = ({ lockFile }: Registry): string => join(dirname(lockFile), 'console-changes.json')

/** A file that is not ours any more counts as none: nothing depends on it. */
export function consoleChanges(registry: Registry): readonly ConsoleChange[] {
  try {
    const parsed = v.safeParse(schema, JSON.parse(readText(fileOf(registry)) ?? '[]'))
    return parsed.success ? parsed.output : []
  } catch {
    return []
  }
}

/** Throws the system's errors. */
export function keepChange(registry: Registry, change: ConsoleChange): void {
  const others = consoleChanges(registry).filter(({ id }) => id !== change.id)
  const all = [change, ...others].toSorted((a, b) => b.at - a.at).slice(0, MOST_KEPT)
  const file = fileOf(registry)
  makeFolder(dirname(file))
  replaceFile(file, `${JSON.stringify(all)}\n`, { model: statIfThere(file), now: registry.now })
}

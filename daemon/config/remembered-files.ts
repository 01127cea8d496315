/** Files as they were when they were first read: a configuration that is loaded again is the same one. */

import type { ConfigIo } from './include.ts'

/** What cannot be read is tried again. */
export function rememberedFiles(io: ConfigIo): ConfigIo {
  const texts = new Map<string, string>()
  const lists = new Map<string, readonly string[]>()
  return {
    read: path => remembered(texts, path, io.read),
    list: directory => remembered(lists, directory, io.list),
  }
}

function remembered<T>(known: Map<string, T>, path: string, read: (path: string) => T): T {
  const before = known.get(path)
  if (before !== undefined) return before
  const now = read(path)
  known.set(path, now)
  return now
}

/** Writing into dist/, from which programs run, tests among them: at no moment is a file missing or half. */

import {
  globSync,
  mkdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { dirname, join } from 'node:path'

/** A running program keeps its old file: files are replaced as a whole. */
export function replace(path: string, content: string | Uint8Array, mode = 0o644): void {
  mkdirSync(dirname(path), { recursive: true })
  writeFileSync(`${path}.new`, content, { mode })
  renameSync(`${path}.new`, path)
}

/** The folder has these files, by their paths in it, and afterwards no others. */
export function replaceFolder(
  folder: string,
  files: ReadonlyMap<string, string | Uint8Array>,
): void {
  for (const [name, content] of files) replace(join(folder, name), content)
  for (const name of filesBelow(folder)) {
    if (!files.has(name)) rmSync(join(folder, name))
  }
}

export function copyFolder(from: string, to: string): void {
  replaceFolder(to, new Map(filesBelow(from).map(name => [name, readFileSync(join(from, name))])))
}

function filesBelow(folder: string): string[] {
  return globSync('**', { cwd: folder }).filter(name => statSync(join(folder, name)).isFile())
}

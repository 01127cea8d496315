/** Writes dist/plugin-api/: the declarations that an editor needs for an operator's own plugins. */

import { execFileSync } from 'node:child_process'
import {
  globSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import { dirname, join } from 'node:path'

/** The file that plugins import, whatever the structure of the tree. */
const ENTRY = 'plugin-api.d.ts'

export function writeDeclarations(top: string, dist: string): void {
  const folder = join(dist, 'plugin-api')
  const fresh = mkdtempSync(join(dist, 'plugin-api-'))
  const project = join(top, 'scripts/plugin-api.tsconfig.json')
  const compiler = join(top, 'node_modules/typescript/lib/tsc.js')
  execFileSync(process.execPath, [compiler, '-p', project, '--outDir', fresh], {
    stdio: ['ignore', 2, 2],
  })
  writeFileSync(join(fresh, ENTRY), "export * from './policy/plugin-api.ts'\n")
  const names = globSync('**/*.d.ts', { cwd: fresh })
  for (const name of names) {
    const path = join(fresh, name)
    // Declaration files refer to each other as .js files.
    const text = readFileSync(path, 'utf8').replace(/(from '\.{1,2}\/[\w/.-]+)\.ts'/g, "$1.js'")
    writeFileSync(path, text)
    mkdirSync(dirname(join(folder, name)), { recursive: true })
    renameSync(path, join(folder, name))
  }
  for (const name of globSync('**/*.d.ts', { cwd: folder })) {
    if (!names.includes(name)) rmSync(join(folder, name))
  }
  rmSync(fresh, { recursive: true })
}

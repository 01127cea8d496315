/** Writes dist/plugin-api/: the declarations that an editor needs for a plugin of one's own. */

import { execFileSync } from 'node:child_process'
import {
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'

export function writeDeclarations(top: string, dist: string): void {
  const folder = join(dist, 'plugin-api')
  const fresh = mkdtempSync(join(dist, 'plugin-api-'))
  const project = join(top, 'scripts/plugin-api.tsconfig.json')
  const compiler = join(top, 'node_modules/typescript/lib/tsc.js')
  execFileSync(process.execPath, [compiler, '-p', project, '--outDir', fresh], {
    stdio: ['ignore', 2, 2],
  })
  mkdirSync(folder, { recursive: true })
  const names = readdirSync(fresh)
  for (const name of names) {
    const path = join(fresh, name)
    // A declaration file names its neighbours as they would run.
    const text = readFileSync(path, 'utf8').replace(/(from '\.\/[\w-]+)\.ts'/g, "$1.js'")
    writeFileSync(path, text)
    renameSync(path, join(folder, name))
  }
  for (const name of readdirSync(folder)) {
    if (!names.includes(name)) rmSync(join(folder, name))
  }
  rmSync(fresh, { recursive: true })
}

/** Writes dist/plugin-api/: the declarations that an editor needs for a plugin of one's own. */

import { execFileSync } from 'node:child_process'
import { globSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

export function writeDeclarations(top: string, dist: string): void {
  const folder = join(dist, 'plugin-api')
  rmSync(folder, { recursive: true, force: true })
  const project = join(top, 'scripts/plugin-api.tsconfig.json')
  const compiler = join(top, 'node_modules/typescript/bin/tsc')
  execFileSync(process.execPath, [compiler, '-p', project, '--outDir', folder], {
    stdio: ['ignore', 2, 2],
  })
  for (const path of globSync(join(folder, '*.d.ts'))) {
    // A declaration file names its neighbours as they would run.
    const text = readFileSync(path, 'utf8').replace(/(from '\.\/[\w-]+)\.ts'/g, "$1.js'")
    writeFileSync(path, text)
  }
}

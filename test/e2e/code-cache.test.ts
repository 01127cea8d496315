/** What V8 has compiled at build time, for faster starts: it is taken, and never in the way. */

import { execFileSync } from 'node:child_process'
import { cpSync, readdirSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { dist } from '../support/daemon.ts'

const node = join(dist, 'node')

function flagsOf(program: string): readonly string[] {
  return readFileSync(join(dist, program), 'utf8').match(/(?<= )--[a-z-]+=\d+(?= )/g) ?? []
}

for (const program of ['mtpolicyd', 'mtpolicyctl']) {
  t.test(`the code cache of ${program} fits the flags of its launcher`, async t => {
    const script = `
      process.argv.splice(1, 0, 'x')
      const { script } = require('${join(dist, program)}.cjs')
      console.log(script.cachedDataRejected)`
    const said = execFileSync(node, [...flagsOf(program), '-e', script, '--', '--version'], {
      encoding: 'utf8',
    })
    t.match(said, /^false$/m)
  })
}

t.test('a program starts with whatever lies in the place of its cache', async t => {
  const folder = t.testdir()
  const start = (flags = flagsOf('mtpolicyd')) =>
    execFileSync(node, [...flags, join(folder, 'mtpolicyd.cjs'), '--version'], { encoding: 'utf8' })
  for (const name of readdirSync(dist)) {
    if (/\.c?js|\.cache$|\.node$/.test(name)) cpSync(join(dist, name), join(folder, name))
  }
  const cache = readdirSync(folder).find(name => /^mtpolicyd-.*\.cache$/.test(name))
  if (cache === undefined) return t.fail('there is no cache')
  const path = join(folder, cache)

  t.match(start([]), /^mtpolicyd \d/, 'one made with other flags')
  truncateSync(path, 100_000)
  t.match(start(), /^mtpolicyd \d/, 'cut short')
  writeFileSync(path, 'nothing of the kind')
  t.match(start(), /^mtpolicyd \d/, 'something else')
  writeFileSync(path, '')
  t.match(start(), /^mtpolicyd \d/, 'empty')
  rmSync(path)
  t.match(start(), /^mtpolicyd \d/, 'none')
})

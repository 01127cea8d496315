/** Every recorded case of the original, answered as recorded, or as `ours` says and why. */

import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { readCases } from './case.ts'
import { missingFor, replay } from './replay.ts'

t.jobs = 3
t.setTimeout(240_000)

const cases = readCases()

t.test('a case that is dubious says what we do and why', t => {
  for (const { name, dubious = false, ours } of cases) t.equal(ours !== undefined, dubious, name)
  t.end()
})

t.test('the manual says what mtpolicyd did and what ours does', t => {
  const pages = manualPages()
  for (const { name, group, ours } of cases) {
    if (!ours) continue
    const [page, words] = ours.manual ?? []
    if (page === undefined || words === undefined) {
      t.ok(['core', 'vhost', 'config', 'session'].includes(group), `${name} is about no plugin`)
      continue
    }
    const text = pages.get(page) ?? ''
    t.ok(text.includes(words), `${name}: ${page} says: ${words}`)
    t.ok(text.includes('mtpolicyd'), `${name}: ${page} names mtpolicyd`)
  }
  t.end()
})

/** By the name of the plugin or the page; each as one line. */
function manualPages(): ReadonlyMap<string, string> {
  const top = join(import.meta.dirname, '../..')
  const read = (folder: string): [string, string][] =>
    readdirSync(join(top, folder))
      .filter(name => /\.(?:ts|txt)$/.test(name))
      .map(name => [name, readFileSync(join(top, folder, name), 'utf8')])
  const plugins = read('daemon/plugins').map(([, source]) => {
    const comment = /^\/\*\*\n([\s\S]*?)\n \*\//.exec(source)?.[1] ?? ''
    return comment.replace(/^ \* ?/gm, '')
  })
  return new Map([
    ...plugins.map((text): [string, string] => [text.split(' ')[0] ?? '', oneLine(text)]),
    ...read('scripts/manual').map(([name, text]): [string, string] => [
      name.replace(/\.\d\.txt$/, ''),
      oneLine(text),
    ]),
  ])
}

function oneLine(text: string): string {
  return text.replace(/\s+/g, ' ')
}

for (const recorded of cases) {
  const skip = missingFor(recorded) ?? false
  t.test(`${recorded.group}: ${recorded.name}`, { skip, buffered: true }, async t => {
    t.strictSame(await replay(recorded), [])
  })
}

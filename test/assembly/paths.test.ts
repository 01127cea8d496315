import { existsSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { pathsBelow } from '../../daemon/assembly/paths.ts'

t.test('what comes with the program is found when it runs from its sources', async t => {
  const { templates, countries } = pathsBelow(t.testdir())
  t.equal(templates, join(import.meta.dirname, '../../templates'))
  t.ok(existsSync(templates))
  t.ok(countries.includes(join(import.meta.dirname, '../../dist/country.mmdb')))
})

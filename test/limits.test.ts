/**
 * daemon/limits.md says what the constants say: each number of a row is the value of a constant or of
 * an option's default that the row names, and each of those is in its text.
 *
 * Constants are read from the sources: most are nobody else's business, so they are not exported.
 */

import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { globalSettings } from '../daemon/config/globals.ts'
import { plugins } from '../daemon/plugins/index.ts'

const folder = join(import.meta.dirname, '../daemon')
const page = readFileSync(join(folder, 'limits.md'), 'utf8')

/** Constants that are named like a limit and bound nothing that somebody else could make grow. */
const NO_LIMITS = [
  'cli/ *',
  'postfix/ *',
  'ledger/record-writer.ts MOST_TEXT_BYTES',
  'lookup/dns-message.ts LONGEST_LABEL',
  'lookup/dns-message.ts LONGEST_NAME',
  'main.ts MOST_PROBLEMS',
  'memory/name-table.ts MOST_FILLED',
  'memory/name.ts MOST_BYTES_EACH',
  'remote/memcached.ts LONGEST_RELATIVE_SECONDS',
  'system/clock.ts MOST_MILLISECONDS',
  'system/link-target.ts MOST_LINKS',
  'text/pattern-tree.ts MOST_KNOWN',
  'text/when.ts LONGEST_SPAN',
]

const files = readdirSync(folder, { recursive: true, encoding: 'utf8' }).filter(name =>
  name.endsWith('.ts'),
)
const sources = new Map(files.map(name => [name, readFileSync(join(folder, name), 'utf8')]))

interface Row {
  readonly what: string
  readonly limit: string
  readonly constants: ReadonlyArray<readonly [file: string, name: string]>
}

function rowsOf(text: string): Row[] {
  return text.split('\n').flatMap(line => {
    const [, what, limit, where = ''] = line.split(/ *\| */)
    if (what === undefined || limit === undefined || !where.includes('`')) return []
    const groups = [...where.matchAll(/`([\w/.-]+\.ts)` ([\w, ]+)/g)]
    const constants = groups.flatMap(([, file = '', names = '']) =>
      names.split(', ').map(name => [file, name.trim()] as const),
    )
    return [{ what, limit, constants }]
  })
}

/** The value of a constant, or of an option's default; undefined: there is no such thing. */
function constantOf(file: string, name: string): number | undefined {
  const source = sources.get(file) ?? ''
  const expression = new RegExp(`\\bconst ${name} = (.*)$`, 'm').exec(source)?.[1]
  return expression === undefined ? optionOf(file, name) : evaluate(file, expression)
}

function optionOf(file: string, name: string): number | undefined {
  const plugin = plugins.find(one => `plugins/${one.name.toLowerCase()}.ts` === file)
  const settings = file === 'config/globals.ts' ? globalSettings : (plugin?.settings ?? {})
  const found = Object.entries(settings).find(([option]) => option === name)?.[1].fallback
  if (typeof found !== 'number') return undefined
  return name.endsWith('_timeout') ? found * 1000 : found
}

/** Products of numbers and of other constants, shifts and powers. */
function evaluate(file: string, expression: string): number | undefined {
  const factors = expression.split(/(?<!\*)\*(?!\*)/).map(factor => {
    const [base = '', operator, exponent] = factor.trim().split(/ *(\*\*|<<) */)
    const value = /^[\d_]+n?$/.test(base) ? Number(base.replace(/_|n$/g, '')) : known(file, base)
    if (value === undefined || operator === undefined) return value
    return operator === '**' ? value ** Number(exponent) : value << Number(exponent)
  })
  return factors.reduce((product, factor) =>
    product === undefined || factor === undefined ? undefined : product * factor,
  )
}

function known(file: string, name: string): number | undefined {
  if (!/^\w+$/.test(name)) return undefined
  if (sources.get(file)?.includes(`const ${name} =`)) return constantOf(file, name)
  // Imported: two modules may export one name, and then the import says which is meant.
  const from = new RegExp(`\\b${name}\\b[^;]*?from '(.*?)'`).exec(sources.get(file) ?? '')?.[1]
  return from === undefined ? undefined : constantOf(join(file, '..', from), name)
}

/** For a constant that has moved. */
function elsewhere(name: string): string {
  const homes = [...sources].filter(([, source]) => source.includes(`const ${name} =`))
  return homes.length === 0 ? '' : `, but in ${homes.map(([file]) => file).join(', ')}`
}

/** How people write it: as a number, as bytes, as a time in milliseconds. */
function textsOf(value: number): string[] {
  const units: ReadonlyArray<readonly [unit: string, size: number]> = [
    ['', 1],
    [' KiB', 2 ** 10],
    [' MiB', 2 ** 20],
    [' GiB', 2 ** 30],
    [' ms', 1],
    [' s', 1000],
    [' min', 60_000],
    [' h', 3_600_000],
  ]
  return units.map(([unit, size]) => `${(value / size).toLocaleString('en-US')}${unit}`)
}

const NUMBER = /\d[\d,.]*\d(?: (?:[KMG]iB|ms|s|min|h)\b)?|\d(?: (?:[KMG]iB|ms|s|min|h)\b)?/g

t.test('each number in daemon/limits.md is that of the constants its row names', async t => {
  const rows = rowsOf(page)
  t.ok(rows.length > 50, 'rows were found')
  for (const { what, limit, constants } of rows) {
    const numbers: readonly string[] = limit.match(NUMBER) ?? []
    const named = constants.map(([file, name]) => ({ file, name, value: constantOf(file, name) }))
    for (const { file, name, value } of named) {
      if (value === undefined) t.fail(`${what}: there is no ${name} in ${file}${elsewhere(name)}`)
      else {
        const isThere = numbers.some(number => textsOf(value).includes(number))
        t.ok(isThere, `${what}: ${name} is ${value}, the limit says "${limit}"`)
      }
    }
    const all = named.flatMap(({ value }) => (value === undefined ? [] : textsOf(value)))
    const others = numbers.filter(number => !all.includes(number))
    t.strictSame(others, [], `${what}: no number without a constant`)
  }
})

t.test('no limit is missing from daemon/limits.md', async t => {
  const listed = new Set(
    rowsOf(page).flatMap(({ constants }) => constants.map(pair => pair.join(' '))),
  )
  for (const [file, source] of sources) {
    for (const [, name = ''] of source.matchAll(
      /\bconst ((?:MOST|LONGEST|LARGEST|GREATEST)(?:_\w+)?) =/g,
    )) {
      const isExempt = NO_LIMITS.some(one =>
        one.endsWith(' *') ? file.startsWith(one.slice(0, -2)) : one === `${file} ${name}`,
      )
      t.ok(isExempt || listed.has(`${file} ${name}`), `${name} of ${file}`)
    }
  }
  for (const one of NO_LIMITS.filter(text => !text.endsWith(' *'))) {
    const [file = '', name = ''] = one.split(' ')
    t.ok(sources.get(file)?.includes(`const ${name} =`), `${one} is still there`)
  }
})

/** The rules of the house that can be read from its files (daemon/README.md). */

import { readdirSync, readFileSync, statSync } from 'node:fs'
import { dirname, join, relative, resolve } from 'node:path'
import t from 'tap'
import { plugins } from '../daemon/plugins/index.ts'
import { makeWorld } from './support/world.ts'

const top = join(import.meta.dirname, '..')
const ROOMS = [
  'config',
  'control',
  'log',
  'lookup',
  'plugins',
  'policy',
  'postfix',
  'registry',
  'store',
  'wire',
]
/** Gives up a regular expression that takes too long. */
const GUARD = '/policy/guarded-match.ts'
/** Made, not written: nothing of it is in the repository. */
const MADE = new Set(['.git', '.run', '.tap', 'build', 'dist', 'node_modules'])

function filesBelow(folder: string): string[] {
  return readdirSync(folder, { withFileTypes: true }).flatMap(entry => {
    if (MADE.has(entry.name)) return []
    const path = join(folder, entry.name)
    return entry.isDirectory() ? filesBelow(path) : entry.isFile() ? [path] : []
  })
}

function importsOf(path: string): string[] {
  const source = readFileSync(path, 'utf8')
  const pattern =
    /^(?:import\b.*|export\b.*|\})\sfrom\s'(.+)'$|^import\s'(.+)'$|\bimport\('(.+?)'\)/gm
  return [...source.matchAll(pattern)].map(match => match[1] ?? match[2] ?? match[3] ?? '')
}

t.test('each room imports policy/ and itself; policy/ imports only itself', async t => {
  const folder = join(top, 'daemon')
  let seen = 0
  for (const path of filesBelow(folder).filter(name => name.endsWith('.ts'))) {
    const room = relative(folder, path).split('/')[0] ?? ''
    if (!ROOMS.includes(room)) continue
    for (const name of importsOf(path)) {
      seen++
      const what = `${relative(top, path)} imports ${name}`
      if (name.startsWith('.')) {
        const target = relative(folder, resolve(dirname(path), name)).split('/')[0]
        t.ok(target === room || target === 'policy', what)
      } else if (room === 'policy') {
        // Predicates on texts, and computing within a time: nothing is opened.
        const isAllowed = name === 'node:net' || (name === 'node:vm' && path.endsWith(GUARD))
        t.ok(isAllowed, what)
      }
    }
  }
  t.ok(seen > 200, 'imports were found')
})

t.test('what takes long to load is not loaded for every start', async t => {
  const folder = join(top, 'daemon')
  const others = /^(?:cli|postfix)\//
  for (const path of filesBelow(folder)) {
    const name = relative(folder, path)
    if (!name.endsWith('.ts') || others.test(name)) continue
    const atOnce = /^import (?!type )[^']*'node:(?:crypto|child_process)'/m
    t.notMatch(readFileSync(path, 'utf8'), atOnce, name)
  }
})

t.test('the folders are those on the map', async t => {
  const folders = readdirSync(join(top, 'daemon'), { withFileTypes: true })
    .filter(entry => entry.isDirectory())
    .map(entry => entry.name)
  t.strictSame(folders.toSorted(), [...ROOMS, 'cli'].toSorted())
  const map = readFileSync(join(top, 'daemon/README.md'), 'utf8')
  for (const room of folders) t.ok(map.includes(`${room}/`), `${room}/ is on the map`)
})

const pluginFolder = join(top, 'daemon/plugins')

/** The text of a file's first comment, without its stars. */
function manualOf(source: string): string {
  const comment = /^\/\*\*\n([\s\S]*?)\n \*\//.exec(source)?.[1] ?? ''
  return comment.replace(/^ \* ?/gm, '')
}

/** The example of a manual: its indented lines, whole blocks of the top level apart. */
function exampleOf(manual: string): { top: string; chain: string } {
  const lines = manual.split('\n').filter(line => /^ {2,}[^ .]/.test(line))
  const blocks = lines.join('\n').match(/^ {2}<(\w+)[\s\S]*?^ {2}<\/\1>/gm) ?? []
  const isTop = (block: string): boolean => block.startsWith('  <Connection')
  return {
    top: blocks.filter(isTop).join('\n'),
    chain: blocks.filter(block => !isTop(block)).join('\n'),
  }
}

/** Stands for the files of keys that examples name. */
const emptyTable = { get: () => undefined, problem: () => undefined }

t.test('every plugin is one file with a manual, and the manual’s example loads', async t => {
  const sources = readdirSync(pluginFolder)
    .map(name => ({ name, source: readFileSync(join(pluginFolder, name), 'utf8') }))
    .filter(({ source }) => source.includes('definePlugin({'))
  t.equal(sources.length, plugins.length, 'index.ts lists all')

  for (const { name, source } of sources) {
    const manual = manualOf(source)
    const title = /^(\w+) - .*\.$/m.exec(manual.split('\n')[0] ?? '')?.[1]
    const plugin = plugins.find(one => one.name === title)
    if (!plugin) {
      t.fail(`${name} begins with NAME - what it does`)
      continue
    }
    t.equal(name.replaceAll('-', ''), `${plugin.name.toLowerCase()}.ts`, 'named as the plugin')
    const example = exampleOf(manual)
    t.match(example.chain, `module `, `${name} has an example`)
    const needsDatabase = 'db' in plugin.settings && example.top === ''
    const database =
      '<Connection db>\nmodule = Sql\ndsn = "dbi:SQLite:dbname=:memory:"\n</Connection>'
    const world = await makeWorld(
      `${needsDatabase ? database : example.top.replace(/dbname=[^"]*/, 'dbname=:memory:')}
       <VirtualHost 12345>\nname = example\n${example.chain}\n</VirtualHost>\n`,
      {
        files: { '/etc/univention-mtpolicyd/dialups': '' },
        outside: { openTable: () => emptyTable, openPlainTable: () => emptyTable },
      },
    )
    world.close()
    t.strictSame(world.messages, [], `${name}: nothing is wrong with the example`)
    t.ok(
      world.loaded.links.some(({ link }) => link.module === plugin.name),
      `${name}: the example is about ${plugin.name}`,
    )
  }
})

t.test('every plugin is used in a test, and every setting has its words', async t => {
  const tests = filesBelow(join(top, 'test/plugins')).map(path => readFileSync(path, 'utf8'))
  for (const { name, summary, settings } of plugins) {
    const use = `plugin('${name}'`
    const isUsed = tests.some(text => text.includes(use) || text.includes(`['${name}'`))
    t.ok(isUsed || tests.some(text => new RegExp(`plugin\\(\\s*'${name}'`).test(text)), name)
    t.match(summary, /^[A-Z].*\.$/, `${name} has a summary`)
    for (const [option, { doc }] of Object.entries(settings)) t.ok(doc, `${name}.${option}`)
  }
})

t.test('nothing names a workplace, and the lockfile names no registry', async t => {
  // Put together, so that this file does not find itself.
  const words = [['/wo', 'rk/'].join(''), ['../sha', 'red'].join('')]
  let seen = 0
  for (const path of filesBelow(top)) {
    if (statSync(path).size > 2 ** 24) continue
    const text = readFileSync(path, 'latin1')
    seen++
    for (const word of words) {
      if (text.includes(word)) t.fail(`${relative(top, path)} names ${word}`)
    }
  }
  t.ok(seen > 100, 'files were read')
  const lock: unknown = JSON.parse(readFileSync(join(top, 'package-lock.json'), 'utf8'))
  t.notMatch(JSON.stringify(lock), /"resolved":"https?:/)
})

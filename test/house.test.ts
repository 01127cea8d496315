/** The rules of the house that can be checked in its files (daemon/README.md). */

import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs'
import { dirname, join, relative, resolve } from 'node:path'
import t from 'tap'
import { plugins } from '../daemon/plugins/index.ts'
import { makeWorld } from './support/world.ts'

const top = join(import.meta.dirname, '..')
/** Every room may import these; each of them may import only those before it. */
const FLOORS = ['system', 'memory', 'text', 'net']
/** Neighbours: each may import policy/ and the floors. */
const ROOMS = [
  'alerts',
  'config',
  'control',
  'history',
  'ledger',
  'log',
  'lookup',
  'maillog',
  'measures',
  'plugins',
  'postfix',
  'registry',
  'remote',
  'wire',
]
/** They put the rooms together: each may import all rooms, and those before it. */
const UPPER = ['assembly', 'run', 'replay', 'diagnosis', 'migration', 'web', 'cli']
/** Interrupts a regular expression that takes too long. */
const GUARD = '/text/guarded-match.ts'
/** Generated, not part of the repository. */
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

/** What a room may import besides itself. */
function mayImport(room: string): readonly string[] {
  if (FLOORS.includes(room)) return FLOORS.slice(0, FLOORS.indexOf(room))
  if (room === 'policy') return FLOORS
  if (ROOMS.includes(room)) return [...FLOORS, 'policy']
  const below = UPPER.includes(room) ? UPPER.slice(0, UPPER.indexOf(room)) : UPPER
  return [...FLOORS, 'policy', ...ROOMS, ...below, 'version.ts']
}

t.test(
  'imports point inward: from the programs to the rooms, to policy/, to the floors',
  async t => {
    const folder = join(top, 'daemon')
    let seen = 0
    for (const path of filesBelow(folder).filter(name => name.endsWith('.ts'))) {
      const room = relative(folder, path).split('/')[0] ?? ''
      for (const name of importsOf(path)) {
        seen++
        const what = `${relative(top, path)} imports ${name}`
        if (name.startsWith('.')) {
          const target = relative(folder, resolve(dirname(path), name)).split('/')[0] ?? ''
          t.ok(target === room || mayImport(room).includes(target), what)
        } else if (room === 'policy') {
          t.fail(what)
        } else if (['memory', 'text'].includes(room)) {
          t.ok(name === 'node:vm' && path.endsWith(GUARD), what)
        }
      }
    }
    t.ok(seen > 200, 'imports were found')
  },
)

t.test('modules that are slow to load are not loaded at every start', async t => {
  const folder = join(top, 'daemon')
  const others = /^(?:cli|diagnosis|migration|postfix|web)\//
  for (const path of filesBelow(folder)) {
    const name = relative(folder, path)
    if (!name.endsWith('.ts') || others.test(name)) continue
    const atOnce = /^import (?!type )[^']*'node:(?:crypto|child_process)'/m
    t.notMatch(readFileSync(path, 'utf8'), atOnce, name)
  }
})

t.test('the map has at most 120 lines and shows every folder', async t => {
  const folders = readdirSync(join(top, 'daemon'), { withFileTypes: true })
    .filter(entry => entry.isDirectory())
    .map(entry => entry.name)
  t.strictSame(folders.toSorted(), [...FLOORS, 'policy', ...ROOMS, ...UPPER].toSorted())
  const map = readFileSync(join(top, 'daemon/README.md'), 'utf8')
  for (const room of folders) t.match(map, `| \`${room}/\` `, `${room}/ is explained`)
  t.ok(map.split('\n').length - 1 <= 120, `${map.split('\n').length - 1} lines`)
})

t.test(
  'the documents of daemon/ name only files that exist, and the map leads to all of them',
  async t => {
    const daemon = join(top, 'daemon')
    const documents = readdirSync(daemon).filter(name => name.endsWith('.md'))
    const map = readFileSync(join(daemon, 'README.md'), 'utf8')
    const rooms = [...FLOORS, 'policy', ...ROOMS, ...UPPER].join('|')
    for (const name of documents) {
      if (name !== 'README.md') t.match(map, `(${name})`, `the map leads to ${name}`)
      const text = readFileSync(join(daemon, name), 'utf8')
      const paths = text.matchAll(
        new RegExp(`(?<![\\w/.-])((?:${rooms}|test|bench|debian|scripts)/[\\w/.-]*\\w)`, 'g'),
      )
      for (const [, path = ''] of paths) {
        const base = /^(?:test|bench|debian|scripts)\//.test(path) ? top : daemon
        const isThere = ['', '.ts'].some(end => existsSync(join(base, path + end)))
        t.ok(isThere, `${name}: ${path}`)
      }
    }
  },
)

const pluginFolder = join(top, 'daemon/plugins')

/** The text of a file's first comment, without its stars. */
function manualOf(source: string): string {
  const comment = /^\/\*\*\n([\s\S]*?)\n \*\//.exec(source)?.[1] ?? ''
  return comment.replace(/^ \* ?/gm, '')
}

/**
 * The example in a manual: its indented lines, separated into blocks of the top level and the rest.
 */
function exampleOf(manual: string): { top: string; chain: string } {
  const lines = manual.split('\n').filter(line => /^ {2,}[^ .]/.test(line))
  const blocks = lines.join('\n').match(/^ {2}<(\w+)[\s\S]*?^ {2}<\/\1>/gm) ?? []
  const isTop = (block: string): boolean => block.startsWith('  <Connection')
  return {
    top: blocks.filter(isTop).join('\n'),
    chain: blocks.filter(block => !isTop(block)).join('\n'),
  }
}

/** Its example is nested in a plugin that runs it only if the score of a mail is high. */
const ONLY_WITH_A_SCORE = 'Fail2Ban'

/** A user's mail from the country of the examples. */
const REQUEST = {
  request: 'smtpd_access_policy',
  protocol_state: 'RCPT',
  instance: 'a.b.0',
  client_address: '198.51.100.7',
  client_name: 'mail.example.net',
  helo_name: 'mail.example.net',
  sender: 'alice@example.org',
  recipient: 'bob@example.net',
  sasl_username: 'alice',
}

/** Replaces the map files that examples refer to. */
const emptyTable = { get: () => undefined, problem: () => undefined }

t.test(
  'every plugin is one file with a manual, and the manual’s example loads and runs',
  async t => {
    const sources = readdirSync(pluginFolder)
      .filter(name => name.endsWith('.ts'))
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
        `${needsDatabase ? database : example.top.replace(/dbname=[^"]*/, 'dbname=:memory:').replace('ldap.example.org', '127.0.0.1')}
       <VirtualHost 12345>\nname = example\n${example.chain}\n</VirtualHost>\n`,
        {
          files: { '/etc/univention-mtpolicyd/dialups': '' },
          outside: { openTable: () => emptyTable, openPlainTable: () => emptyTable },
        },
      )
      t.strictSame(world.messages, [], `${name}: nothing is wrong with the example`)
      const own = world.loaded.links.filter(({ link }) => link.module === plugin.name)
      await world.ask(REQUEST)
      const runs = own.map(({ link }) => link.tally.runs)
      t.ok(
        runs.includes(1) || plugin.name === ONLY_WITH_A_SCORE,
        `${name}: the example runs it once`,
      )
      for (const { link } of own) t.match(link.tally.lastFailure, /^$|ECONNREFUSED|no such table/)
      world.close()
    }
  },
)

t.test('every plugin and every setting is explained in a sentence', async t => {
  for (const { name, summary, settings } of plugins) {
    t.match(summary, /^[A-Z]\S* .*\.$/s, `${name} has a summary`)
    for (const [option, { doc }] of Object.entries(settings)) {
      t.match(doc, /^\S+ .*\.$/s, `${name}.${option}`)
    }
  }
})

t.test('nothing names a workplace, and the lockfile names no registry', async t => {
  // Assembled, so that this file does not find itself.
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

t.test(
  'in postfix/, smtpd/ does not import findings/, and neither imports registration/',
  async t => {
    const folder = join(top, 'daemon/postfix')
    const order = ['smtpd', 'findings', 'registration']
    let seen = 0
    for (const path of filesBelow(folder)) {
      const room = order.indexOf(relative(folder, path).split('/')[0] ?? '')
      if (room < 0) continue
      for (const name of importsOf(path).filter(one => one.startsWith('.'))) {
        const target = relative(folder, resolve(dirname(path), name)).split('/')[0] ?? ''
        seen++
        t.ok(order.indexOf(target) <= room, `${relative(top, path)} imports ${name}`)
      }
    }
    t.ok(seen > 100, 'imports were found')
  },
)

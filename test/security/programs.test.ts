/** Other programs are run with lists of words, never through a shell, and no word becomes an option. */

import { chmodSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { postmapTable } from '../../daemon/lookup/postmap.ts'
import { openTable } from '../../daemon/lookup/table.ts'
import { dist, runProgram } from '../support/daemon.ts'

const top = join(import.meta.dirname, '../..')

function filesOf(folder: string, pattern: RegExp): { name: string; text: string }[] {
  return readdirSync(join(top, folder), { recursive: true, encoding: 'utf8' })
    .filter(name => pattern.test(name))
    .map(name => ({ name, text: readFileSync(join(top, folder, name), 'utf8') }))
}

/** Who runs programs, and what for. Whoever is added here has read this file. */
const RUNNERS = [
  'alerts/delivery/program.ts',
  'lookup/postmap.ts',
  'maillog/follow-journal.ts',
  'main.ts',
  'replay/log-source.ts',
  'system/external-program.ts',
  'web/change-client.ts',
]

t.test('few files run programs, and none through a shell', t => {
  const sources = filesOf('daemon', /\.ts$/)
  t.ok(sources.length > 100)
  const runners = sources.filter(({ text }) => /child_process/.test(text))
  t.strictSame(runners.map(({ name }) => name).toSorted(), RUNNERS)
  for (const { name, text } of runners) {
    const imports = [
      ...text.matchAll(
        /import (type )?\{([^}]*)\} from 'node:child_process'|const \{([^}]*)\} = process\.getBuiltinModule\('node:child_process'\)/g,
      ),
    ]
    t.equal(imports.length, text.split('child_process').length - 1, `${name}: and in no other way`)
    const functions = imports.flatMap(([, isType, early = '', late = '']) => {
      const words = (early + late).split(',').map(word => word.trim())
      return isType ? [] : words.filter(word => word !== '' && !word.startsWith('type '))
    })
    t.ok(functions.length > 0, name)
    for (const word of functions) t.match(word, /^(?:execFile|spawn)$/, `${name}: ${word}`)
    t.notMatch(text, /\bshell\s*:/, name)
    t.notMatch(text, /['"`](?:\/bin\/)?(?:ba|da)?sh['"`]/, name)
    // What the system's loader would take from whoever calls is none of a plugin's business.
    t.notMatch(text, /\bLD_/, name)
  }
  for (const { name, text } of sources) {
    t.notMatch(text, /\beval\(|\bnew Function\b|process\.binding|require\(/, name)
  }
  t.end()
})

t.test('the library for MySQL makes no code from what a server says', t => {
  const [source] = filesOf('daemon/remote', /^mysql-connection\.ts$/)
  t.match(source?.text, 'disableEval: true')
  t.end()
})

/** A script and what it has in `$( )`, which quotes inside of quotes would hide, each by itself. */
function innermostFirst(script: string): string[] {
  const parts: string[] = []
  let rest = script
  for (;;) {
    const [whole, inner = ''] = /\$\(([^()]*)\)/.exec(rest) ?? []
    if (whole === undefined) return [...parts, rest]
    parts.push(inner)
    rest = rest.replace(whole, () => '$inner')
  }
}

t.test('the scripts of the package hand no value to a shell', t => {
  const scripts = filesOf('debian', /\.(?:postinst|prerm|postrm|config)$/)
  t.ok(scripts.length >= 3)
  for (const { name, text } of scripts) {
    t.match(text, /^#!\/bin\/sh\n/, name)
    t.match(text, /^set -e$/m, name)
    const commands = text.replace(/^\s*#.*$/gm, '')
    t.notMatch(commands, /\beval\b|`|\bsh -c\b|\bsu\b/, name)
    t.notMatch(commands, /(?<![\w-])\/tmp\b/, `${name}: nothing in a folder of everybody`)
    // Whatever is not written out stands in quotes: no word is split, no * spread.
    for (const part of innermostFirst(commands)) {
      const bare = part
        .replace(/'[^']*'|"(?:[^"\\]|\\.)*"/g, '')
        // What is assigned is not split.
        .replace(/(?<=^|[\s;{(])\w+=\S*|\bcase \$\w+ in/gm, '')
      t.notMatch(bare, /.*\$(?:\w|\{|\().*/, name)
    }
  }
  const [module] = filesOf('debian/ucr/modules', /\.py$/)
  t.match(module?.text, 'subprocess.call(MTPOLICYCTL + ')
  t.notMatch(module?.text, /shell\s*=|os\.system|popen/)
  t.end()
})

t.test(
  'a key that looks like an option is a key: Postfix’s programs are asked by their input',
  async t => {
    const folder = t.testdir({ bin: {} })
    const program = join(folder, 'bin/postmap')
    // Says what it was called with, and finds everything.
    writeFileSync(program, `#!/bin/sh\necho "$*" >> ${join(folder, 'calls')}\nsed 's/$/\tfound/'\n`)
    chmodSync(program, 0o755)
    const before = process.env.PATH
    process.env.PATH = `${join(folder, 'bin')}:${before}`
    t.teardown(() => {
      process.env.PATH = before
    })
    const table = postmapTable('pcre:/etc/postfix/x')
    t.teardown(() => table.close())
    for (const key of ['-i', '--help', '-q', '; id', '$(id)', '`id`', '| id', "'", '"', '\\']) {
      t.equal(await table.get(key), 'found', key)
    }
    for (const key of ['a\nb', 'a\tb', 'a\0b', 'a'.repeat(5000)]) {
      t.equal(await table.get(key), undefined, 'and what would be another line is not asked')
    }
    const calls = new Set(readFileSync(join(folder, 'calls'), 'utf8').trimEnd().split('\n'))
    t.strictSame([...calls], ['-q - pcre:/etc/postfix/x'])
  },
)

t.test('a table whose name looks like an option is a file', t => {
  for (const name of ['-o:x', '--x', '-c/etc:x', ' -v:x', '$(id):x', '; id:x']) {
    const table = openTable(name)
    t.match(table.problem(), /no such file|ENOENT|does not exist|missing/i, name)
    table.close()
  }
  t.end()
})

t.test('where UCR is the registry, no key or value becomes an option of its command', async t => {
  const root = t.testdir({ usr: { sbin: {} }, etc: { univention: {} } })
  const program = join(root, 'usr/sbin/univention-config-registry')
  const calls = join(root, 'calls')
  writeFileSync(program, `#!/bin/sh\nprintf '[%s]' "$@" >> ${calls}\necho >> ${calls}\n`)
  chmodSync(program, 0o755)
  mkdirSync(join(root, 'etc/univention/templates'), { recursive: true })
  const ctl = (...argv: string[]) => runProgram(join(dist, 'mtpolicyctl'), '--root', root, ...argv)
  for (const argument of ['-x=1', '--force=1', '--=1']) {
    const { status, stderr } = await ctl('set', 'some/key=1', argument)
    t.not(status, 0, argument)
    t.match(stderr, /invalid "-" at the start of config variable key/)
  }
  await ctl('set', 'some/key=--force; $(id) `id`')
  await ctl('unset', 'some/key', '--force')
  for (const line of readFileSync(calls, 'utf8').trimEnd().split('\n')) {
    t.match(line, /^\[(?:set|unset)\]\[some\/key/, line)
    t.notMatch(line, /\]\[-/, 'no word begins with a dash')
  }
})

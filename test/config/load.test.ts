/**
 * From a file to what an operator is told about it.
 *
 * The golden folder holds files with mistakes beside the messages they give (`GOLDEN=write` writes
 * those again; read the diff), as the daemon's own loader and as `mtpolicyctl check` say them.
 */

import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t from 'tap'
import { checkConfiguration } from '../../daemon/assembly/configuration.ts'
import { pathsBelow } from '../../daemon/assembly/paths.ts'
import { formatProblem } from '../../daemon/policy/problem.ts'
import { dist, runProgram } from '../support/daemon.ts'
import { chain, makeWorld, plugin } from '../support/world.ts'

const golden = join(import.meta.dirname, '../golden/load')
const root = mkdtempSync(join(tmpdir(), 'load-'))
t.teardown(() => rmSync(root, { recursive: true }))

for (const name of readdirSync(golden).filter(file => file.endsWith('.conf'))) {
  const file = join(golden, name)
  const out = file.replace(/conf$/, 'out')
  const plain = (text: string): string => text.replaceAll(`${golden}/`, '')

  t.test(`${name}: every mistake is said, at its place, in the order of the file`, async t => {
    const problems = await checkConfiguration(pathsBelow(root), file, undefined)
    const seen = plain(problems.map(problem => `${formatProblem(problem)}\n`).join(''))
    if (process.env.GOLDEN === 'write') writeFileSync(out, seen)
    t.equal(seen, readFileSync(out, 'utf8'))
  })

  t.test(`${name}: mtpolicyctl check says the same, and its exit status`, async t => {
    const { status, stdout, stderr } = await runProgram(
      join(dist, 'mtpolicyctl'),
      '--root',
      root,
      'check',
      file,
    )
    const lines = readFileSync(out, 'utf8')
    const count = (word: string): number => lines.split(`: ${word}: `).length - 1
    const errors = count('error')
    t.equal(status, errors > 0 ? 1 : 0)
    t.equal(stdout, '')
    const plural = (number: number, noun: string) => `${number} ${noun}${number === 1 ? '' : 's'}`
    const sum = `${plural(errors, 'error')}, ${plural(count('warning'), 'warning')}\n`
    t.equal(plain(stderr), lines + sum)
  })
}

t.test('a configuration with ten mistakes gives ten messages, each on its own line', async t => {
  const file = join(golden, 'ten-mistakes.conf')
  const problems = await checkConfiguration(pathsBelow(root), file, undefined)
  const lines = problems.map(({ place }) => place.line)
  t.equal(lines.length, 10)
  t.equal(new Set(lines).size, 10)
})

t.test('what the original refuses is refused, what it starts with starts', async t => {
  for (const [text, severity] of [
    [chain(plugin('Nosuch')), 'fatal'],
    [chain(plugin('Action')), 'fatal'],
    [chain(plugin('Condition', 'key = a\ngt_match = 5.')), 'fatal'],
    [chain(plugin('Condition', 'key = a\nscore = 0x10')), 'fatal'],
    [chain(plugin('Condition', 'key = a\ninvert = 2')), 'fatal'],
    [chain(plugin('Action', 'action = ok\nlog_level = high')), 'fatal'],
    [chain(''), 'fatal'],
    ['port = 1\n', 'fatal'],
    [chain(plugin('Action', 'action = ok'), 'max_servers = 5\nmax_spare_servers = 5'), 'fatal'],
    [chain(plugin('Condition', 'key = a\nre_match = "("')), 'error'],
    [chain(plugin('Action', 'action = ok'), 'log_level = high'), 'error'],
    [chain(plugin('Action', 'action = ok'), 'keepalive_timeout = -1'), 'error'],
    [
      chain(plugin('Action', 'action = ok'), '<SessionCache>\nmodule = File\n</SessionCache>'),
      'error',
    ],
    [chain(plugin('Action', 'action = ok\nacton = ok')), 'warning'],
    [chain(plugin('Action', `action = ok\n${plugin('Action', 'action = ok', 'dead')}`)), 'warning'],
    [chain(plugin('Action', 'action = ok'), 'ldap_host = x'), 'warning'],
    [chain(plugin('Action', 'action = ok'), 'user = root\nmax_servers = 50\nmin_servers = 4'), ''],
  ] as const) {
    const world = await makeWorld(text)
    world.close()
    t.equal(world.problems.map(problem => problem.severity).join(), severity, text)
  }
})

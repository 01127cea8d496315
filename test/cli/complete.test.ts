/** What the shell offers for the name of an account and for a code, whoever has chosen the name. */

import { execFileSync } from 'node:child_process'
import { existsSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t from 'tap'
import type { AccountMeasures } from '../../daemon/policy/ports/measures.ts'
import { completions } from '../../scripts/bash-completion.ts'
import { accountHost } from '../support/account-host.ts'
import { runCommand, runRegistryCommand } from '../support/command.ts'
import { memoryHistory, past, refusal, sums } from '../support/memory-history.ts'
import { chain, NOON, plugin } from '../support/world.ts'

const TEXT = chain(plugin('SendingLimit', 'threshold = 9'))

t.test('accounts that have sent, and those with variables, each once', async t => {
  const history = memoryHistory({ senders: [sums('bob'), sums('alice'), sums('alicia')] })
  const host = await accountHost(t, TEXT, { history })
  const io = { root: host.root, env: {}, stdout: () => undefined, stderr: () => undefined }
  const registry = { templates: '', check: () => [], reload: () => undefined }
  const names = ['mtpolicyd/user/alibi/threshold=5', 'mtpolicyd/user/alice/threshold=6']
  t.equal(await runRegistryCommand(['set', ...names], { ...io, ...registry }), 0)
  t.match(await host.say('complete', '--accounts', 'al'), {
    status: 0,
    out: 'alice\nalicia\nalibi\n',
  })
  t.match(await host.say('complete', '--accounts', 'ALIC'), { out: 'alice\nalicia\n' })
  t.match(await host.say('complete', '--accounts', 'x'), { status: 0, out: '', err: '' })
  t.match(await host.say('complete'), { status: 64, out: '' })
})

t.test('an account with a measure comes first, also if it has never sent', async t => {
  const history = memoryHistory({ senders: [sums('bob'), sums('boris')] })
  const blocked: AccountMeasures = { block: undefined, allow: undefined, limits: [] }
  const measures = { boss: blocked, boris: blocked, eve: blocked }
  const host = await accountHost(t, TEXT, { history, measures })
  t.match(await host.say('complete', '--accounts', 'BO'), { out: 'boss\nboris\nbob\n' })
})

t.test('codes of refusals', async t => {
  const refusals = [refusal(NOON, 'K3F-9QT'), refusal(NOON, 'K3F-AAA'), refusal(NOON, 'ABC-DEF')]
  const history = memoryHistory({ accounts: [past('alice', { refusals })] })
  const host = await accountHost(t, TEXT, { history })
  t.match(await host.say('complete', '--codes', 'k3f'), { status: 0, out: 'K3F-9QT\nK3F-AAA\n' })
})

t.test('nothing is wrong without a history, with a broken one, or without a daemon', async t => {
  for (const history of [undefined, memoryHistory({ broken: 'malformed' })]) {
    const host = await accountHost(t, TEXT, { history })
    for (const what of ['--accounts', '--codes']) {
      t.strictSame(await host.say('complete', what, 'a'), { status: 0, out: '', err: '' })
    }
  }
  let said = ''
  const out = (text: string): void => {
    said += text
  }
  const argv = ['complete', '--accounts', 'a', '--codes', 'A']
  t.equal(await runCommand(argv, { root: t.testdir(), out, err: out }), 0)
  t.equal(said, '')
})

/** What bash offers for a line, if mtpolicyctl prints these names. */
function offered(line: string, names: readonly string[], folder: string): string[] {
  const script = `${completions().mtpolicyctl}
    mtpolicyctl() { printf '%s\\n' "\${NAMES[@]}"; printf '%s\\n' "$*" > '${folder}/called'; }
    NAMES=("$@")
    COMP_LINE='${line}' COMP_POINT=${line.length}
    _mtpolicyctl
    printf '%s\\n' "\${COMPREPLY[@]}"`
  const argv = ['-c', script, 'bash', ...names]
  return execFileSync('bash', argv, { encoding: 'utf8', cwd: folder }).split('\n').filter(Boolean)
}

t.test('no name is executed, not even one that the program should not have printed', async t => {
  const folder = mkdtempSync(join(tmpdir(), 'complete-'))
  t.teardown(() => rmSync(folder, { recursive: true }))
  const hostile = [
    '$(touch hacked)',
    '`touch hacked`',
    "';touch hacked;'",
    'a b',
    '*',
    '-rf',
    '$HOME',
  ]
  const history = memoryHistory({
    senders: [...hostile, 'alice', 'jürgen', 'a+b@x-y.org'].map(name => sums(name)),
  })
  const host = await accountHost(t, TEXT, { history })
  const { out } = await host.say('complete', '--accounts', '')
  t.equal(out, 'alice\njürgen\na+b@x-y.org\n')
  t.strictSame(offered('mtpolicyctl user a', hostile, folder), hostile)
  t.notOk(existsSync(join(folder, 'hacked')))
})

t.test('behind an @, only the rest of a name is offered', async t => {
  const folder = mkdtempSync(join(tmpdir(), 'complete-'))
  t.teardown(() => rmSync(folder, { recursive: true }))
  const names = ['alice@example.org', 'alice@example.com']
  t.strictSame(offered('mtpolicyctl user al', names, folder), names)
  t.strictSame(offered('mtpolicyctl user alice@ex', names, folder), ['example.org', 'example.com'])
  t.strictSame(offered('mtpolicyctl watch --user al', names, folder), names)
  t.strictSame(offered('mtpolicyctl --root /srv user al', names, folder), names)
  const called = execFileSync('cat', [join(folder, 'called')], { encoding: 'utf8' })
  t.equal(called, '--root /srv complete --accounts=al\n')
})

/** The daemon does not go where a Postfix that asks it cannot follow. */

import { spawnSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { checkReach } from '../../daemon/diagnosis/check-reach.ts'
import { runProgram } from '../../daemon/system/external-program.ts'

const TARGET = '/etc/systemd/system/univention-mtpolicyd.socket.d/listen.conf'
const ITEM = 'check_policy_service { inet:127.0.0.1:12345, default_action=DUNNO, timeout=5s }'
const hasPostfix = spawnSync('postconf', ['-d', 'mail_version']).status === 0
const skip = hasPostfix ? false : 'this needs Postfix'
if (skip && process.env.CI) throw new Error(skip)

function setUp(t: Test, protocols: string, list: string): string {
  // The control socket's path has to be short.
  const root = mkdtempSync(join(tmpdir(), 'reach-'))
  t.teardown(() => rmSync(root, { recursive: true }))
  mkdirSync(join(root, 'etc/postfix'), { recursive: true })
  writeFileSync(
    join(root, 'etc/postfix/main.cf'),
    `compatibility_level = 3.6\ninet_protocols = ${protocols}\n` +
      `smtpd_sasl_auth_enable = yes\nsmtpd_end_of_data_restrictions = ${list}\n`,
  )
  writeFileSync(join(root, 'etc/postfix/master.cf'), 'smtp inet n - n - - smtpd\n')
  return root
}

async function problemsOf(root: string, ...streams: readonly string[]): Promise<string[]> {
  const staged = join(root, 'listen.conf')
  writeFileSync(
    staged,
    `[Socket]\nListenStream=\n${streams.map(s => `ListenStream=${s}\n`).join('')}`,
  )
  const problems = await checkReach(staged, TARGET, {
    run: runProgram,
    endpoint: { host: 'localhost', port: 12345 },
    stateFile: join(root, 'postfix.json'),
    configDirs: [join(root, 'etc/postfix')],
  })
  return problems.map(({ message }) => message)
}

t.test('an address of a family that Postfix does not use is refused', { skip }, async t => {
  const four = setUp(t, 'ipv4', ITEM)
  t.match(await problemsOf(four, '[::1]:12345'), [/IPv4 only.*\[::1\]:12345/])
  t.same(await problemsOf(four, '127.0.0.1:12399', '[::1]:12399'), [], 'one of the two is enough')
})

t.test('so it is for a Postfix without IPv4', { skip }, async t => {
  const six = setUp(t, 'ipv6', ITEM.replace('127.0.0.1', '[::1]'))
  t.match(await problemsOf(six, '127.0.0.1:12345'), [/IPv6 only/])
  t.match(await problemsOf(six, '0.0.0.0:12345'), [/IPv6 only/], 'a wildcard is of one family')
  t.same(await problemsOf(six, '[::]:12345'), [])
})

t.test('a Postfix that does not ask us has no say', { skip }, async t => {
  t.same(await problemsOf(setUp(t, 'ipv4', ''), '[::1]:12345'), [])
})

t.test('set refuses it, says why and changes nothing', { skip }, async t => {
  const root = setUp(t, 'ipv4', ITEM)
  const control = (...argv: string[]) =>
    spawnSync(
      process.execPath,
      [join(import.meta.dirname, '../../daemon/cli/main.ts'), '--root', root, ...argv],
      { encoding: 'utf8' },
    )
  t.equal(control('set', 'mtpolicyd/threshold=5').status, 0)
  const configuration = join(root, 'etc/univention-mtpolicyd/mtpolicyd.conf')
  const before = readFileSync(configuration, 'utf8')
  const { status, stderr, stdout } = control('set', 'mtpolicyd/host=::1')
  t.equal(status, 1)
  t.match(stdout + stderr, 'IPv4 only')
  t.equal(readFileSync(configuration, 'utf8'), before)
  t.equal(control('get', 'mtpolicyd/host').stdout.trim(), 'localhost')
})

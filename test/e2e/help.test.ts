/** `--help` of every program and command. */

import { join } from 'node:path'
import t from 'tap'
import { commands } from '../../daemon/cli/commands.ts'
import { dist, runProgram } from '../support/daemon.ts'

t.test('help fits 80 columns, for all programs and all commands', async t => {
  const all = [
    ['mtpolicyd', '--help'],
    ['mtpolicyctl', '--help'],
    ['policyd-client', '--help'],
    ...commands.map(({ name }) => ['mtpolicyctl', ...name.split(' '), '--help']),
    ['mtpolicyctl', 'help', 'postfix'],
  ]
  for (const [program = '', ...argv] of all) {
    const { status, stdout } = await runProgram(join(dist, program), ...argv)
    t.equal(status, 0, argv.join(' '))
    t.match(stdout, /^Usage: /)
    t.same(
      stdout.split('\n').filter(line => line.length > 80),
      [],
      `${program} ${argv.join(' ')}`,
    )
  }
  const json = await runProgram(join(dist, 'mtpolicyctl'), '--root', t.testdir(), 'dump', '--json')
  t.match(JSON.parse(json.stdout), { 'mtpolicyd/port': '12345' }, '--json may stand at the end')
  const typo = await runProgram(join(dist, 'mtpolicyctl'), 'register')
  t.equal(typo.status, 64)
  t.match(typo.stderr, 'did you mean postfix register?')
})

/** `user` and `top` against the real daemon. */

import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import {
  askPort,
  dist,
  type InstalledDaemon,
  installDaemon,
  runProgram,
} from '../support/daemon.ts'

const message = (instance: string, recipients: number) => ({
  request: 'smtpd_access_policy',
  protocol_state: 'END-OF-MESSAGE',
  client_address: '193.99.144.80',
  sasl_username: 'Alice',
  instance,
  recipient_count: String(recipients),
})

async function limitsOf(daemon: InstalledDaemon, name: string): Promise<unknown> {
  const { status, stdout, stderr } = await daemon.ctl('user', name, '--json')
  t.strictSame({ status, stderr }, { status: 0, stderr: '' })
  return JSON.parse(stdout).limits
}

t.test('what an account has used is shown, also right after kill -9', async t => {
  const daemon = await installDaemon({
    'mtpolicyd/threshold': '5',
    'mtpolicyd/threshold/hour': '50',
    'mtpolicyd/user/bob/threshold': 'unlimited',
  })
  t.teardown(() => daemon.remove())
  t.match(await daemon.ctl('user', 'alice'), {
    status: 1,
    stdout: '',
    stderr: 'mtpolicyctl: the daemon is not running\n',
  })
  await daemon.start()
  t.equal(await askPort(daemon.port, message('a', 3)), 'action=dunno')
  t.match(await askPort(daemon.port, message('b', 3)), /^action=reject/)
  const used = [
    { name: 'limit', unit: 'recipients', window: 'day', used: 3, limit: 5 },
    { name: 'hour', unit: 'recipients', window: '1h', used: 3, limit: 50, again: null },
  ]
  t.match(await limitsOf(daemon, 'alice'), used)
  await daemon.kill()
  await daemon.start()
  t.match(await limitsOf(daemon, 'ALICE'), used)
  t.match(await limitsOf(daemon, 'bob'), [{ used: 0, limit: 'unlimited' }, { used: 0 }])
  t.match(
    (await daemon.ctl('user', 'alice')).stdout,
    /^alice can send: 3 of 5 recipients used today; its last mail was refused[\s\S]*?[A-Z0-9-]{7}\.\n\n/,
  )

  const ready = await runProgram(
    'bash',
    '-c',
    `source '${dist}/bash-completion/mtpolicyctl'; PATH='${dist}':$PATH
    COMP_LINE='mtpolicyctl --root ${daemon.root} user bo' COMP_POINT=\${#COMP_LINE}
    _mtpolicyctl; printf '%s\\n' "\${COMPREPLY[@]}"`,
  )
  t.strictSame(ready, { status: 0, stdout: 'bob\n', stderr: '' })
})

t.test('a file without history_days has limits and no history', async t => {
  const daemon = await installDaemon()
  t.teardown(() => daemon.remove())
  const { port } = daemon
  writeFileSync(
    join(daemon.root, 'etc/univention-mtpolicyd/mtpolicyd.conf'),
    `port = "127.0.0.1:${port}"\n<VirtualHost ${port}>\n  name = mine\n  <Plugin all>\n    module = SendingLimit\n    threshold = 7\n  </Plugin>\n</VirtualHost>\n`,
  )
  await daemon.start()
  const top = await daemon.ctl('top')
  t.strictSame({ status: top.status, stdout: top.stdout }, { status: 1, stdout: '' })
  t.match(top.stderr, 'mtpolicyctl set mtpolicyd/history/days=90')
  t.match(await limitsOf(daemon, 'alice'), [{ name: 'all', limit: 7 }])
  t.match((await daemon.ctl('user', 'alice')).stdout, /^history +off/m)
})

/** The web console in what its unit leaves it: the kernel refuses sockets of all other address families. */

import { execFileSync } from 'node:child_process'
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { installDaemon } from '../support/daemon.ts'
import { post } from '../support/web-calls.ts'

const unit = readFileSync(
  join(import.meta.dirname, '../../debian/univention-mtpolicyd.service'),
  'utf8',
)
const families = (/^RestrictAddressFamilies=(.*)$/m.exec(unit)?.[1] ?? '').replaceAll(' ', ',')
const wrapped = ['python3', join(import.meta.dirname, '../support/address-families.py'), families]

function missing(): string | false {
  if (process.arch !== 'x64') return 'the filter is for x86-64'
  try {
    execFileSync('postconf', ['-d'], { stdio: 'ignore' })
    const [program = '', ...argv] = wrapped
    execFileSync(program, [...argv, '/bin/true'])
    return false
  } catch (error) {
    return String(error)
  }
}

t.test(
  'on all addresses, the console starts, and finds out about Postfix',
  { skip: missing() },
  async t => {
    const daemon = await installDaemon(
      { 'mtpolicyd/maillog': 'none', 'mtpolicyd/web/host': '0.0.0.0' },
      wrapped,
    )
    t.teardown(() => daemon.remove())
    const postfix = join(daemon.root, 'etc/postfix')
    mkdirSync(postfix, { recursive: true })
    writeFileSync(join(postfix, 'main.cf'), 'compatibility_level = 3.6\n')
    writeFileSync(join(postfix, 'master.cf'), 'smtp inet n - n - - smtpd\n')
    await daemon.start()
    const on = await daemon.ctl('web', 'on')
    t.equal(on.status, 0, on.stderr)
    const url = /http:\S+/.exec(on.stdout)?.[0] ?? ''
    t.notMatch(url, /0\.0\.0\.0/, 'an address that a browser can open')
    const login = await post(url, '/api/login', { token: url.split('#login=')[1] })
    t.equal(login.status, 200)
    const cookie = login.headers.get('set-cookie')?.split(';')[0] ?? ''
    const findings = await fetch(new URL('/api/findings', url), { headers: { cookie } })
    const text = await findings.text()
    t.notMatch(text, /no usable configuration|getifaddrs/)
    t.match(text, /"service":"smtp/)
  },
)

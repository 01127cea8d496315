/** Every duration has an upper end: a timer that overflows fires at once. */

import t from 'tap'
import { globalSettings } from '../../daemon/config/globals.ts'
import { ldapSettings, sessionSettings } from '../../daemon/config/services.ts'
import { plugins } from '../../daemon/plugins/index.ts'
import type { Settings } from '../../daemon/policy/setting.ts'
import { chain, makeWorld, plugin } from '../support/world.ts'

const LONGEST_TIMER = 2 ** 31 - 1
const ACTION = plugin('Action', 'action = reject')

t.test('a duration that no timer can wait is refused, with what is possible', async t => {
  for (const name of ['keepalive_timeout', 'request_timeout'] as const) {
    const world = await makeWorld(chain(ACTION, `${name} = 9999999`))
    t.teardown(() => world.close())
    const place = `test.conf:1:${name.length + 4}`
    t.strictSame(world.messages, [
      `${place}: error: "${name}": expected whole seconds from 0 to 2,147,483, found "9999999"`,
    ])
    t.equal(world.loaded.globals[name], globalSettings[name].fallback, 'the default stands')
  }
})

t.test(
  'whatever is called a time fits into a timer or is a lifetime of at most ten years',
  async t => {
    const all: readonly (readonly [string, Settings])[] = [
      ['globals', globalSettings],
      ['Ldap', ldapSettings],
      ['SessionCache', sessionSettings],
      ...plugins.map(({ name, settings }) => [name, settings] as const),
    ]
    const found: string[] = []
    for (const [owner, settings] of all) {
      for (const [name, setting] of Object.entries(settings)) {
        // lock_wait is accepted for compatibility only.
        if (!/timeout|expire$|retry_wait$/.test(name)) continue
        found.push(`${owner} ${name}`)
        t.match(setting.expected, /seconds from .* to /, `${owner} ${name}`)
        t.equal(setting.parse('999999999999'), undefined)
        t.equal(setting.parse('1e3'), undefined)
        t.equal(setting.parse('-1'), undefined)
        const isLifetime = /expire$|_retry_wait$/.test(name)
        const most = Number(/ to ([\d,]+)$/.exec(setting.expected)?.[1]?.replaceAll(',', ''))
        t.ok(isLifetime || most * 1000 <= LONGEST_TIMER, `${owner} ${name}: ${most}`)
        t.strictSame(setting.parse(String(most)), { value: most })
      }
    }
    t.strictSame(found, [
      'globals keepalive_timeout',
      'globals request_timeout',
      'globals dns_timeout',
      'Ldap timeout',
      'SessionCache expire',
      'SessionCache lock_timeout',
      'Greylist min_retry_wait',
      'Greylist max_retry_wait',
      'Honeypot expire',
      'SMTPVerify timeout',
    ])
  },
)

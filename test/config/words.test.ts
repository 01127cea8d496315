/** An option that takes a word of a list never takes another word for one of them in silence. */

import t from 'tap'
import { globalSettings } from '../../daemon/config/globals.ts'
import { plugins } from '../../daemon/plugins/index.ts'
import { commonSettings } from '../../daemon/policy/read-settings.ts'
import type { Settings } from '../../daemon/policy/setting.ts'
import { chain, makeWorld, plugin } from '../support/world.ts'

t.test('every such setting refuses another word or remarks on it', async t => {
  const all: readonly (readonly [string, Settings])[] = [
    ['globals', globalSettings],
    ['every plugin', commonSettings],
    ...plugins.map(({ name, settings }) => [name, settings] as const),
  ]
  let count = 0
  for (const [owner, settings] of all) {
    for (const [name, setting] of Object.entries(settings)) {
      if (!setting.words && setting.expected !== 'on or off') continue
      count++
      const reading = setting.parse('no-such-word')
      t.ok(reading === undefined || reading.remark, `${name} of ${owner}`)
      for (const word of setting.words ?? ['on', 'off']) {
        const known = setting.parse(word)
        t.ok(known && !known.remark, `${name} = ${word}`)
      }
    }
  }
  t.ok(count > 30, `${count} settings`)
})

t.test('a misspelt word is reported with the one that was meant', async t => {
  for (const [module, line, message] of [
    [
      'GeoIPAction',
      'mode = rejct',
      /expected one of: reject, .*found "rejct"; did you mean "reject"/,
    ],
    [
      'Honeypot',
      'mode = Reject',
      /found "Reject"; did you mean "reject"\?; it counts as "passive"/,
    ],
    ['CtIpRep', 'permfail_mode = rejekt', /did you mean "reject"\?; it counts as "passive"/],
    ['SaAwlAction', 'mode = acept', /did you mean "accept"\?; it counts as "passive"/],
    [
      'RBL',
      'enabled = offf',
      /"enabled" in .*found "offf"; did you mean "off"\?; it counts as "on"/,
    ],
    ['SMTPVerify', 'check_tlsa = never', /"check_tlsa" in .*found "never"; it counts as "on"/],
  ] as const) {
    const world = await makeWorld(chain(plugin(module, line)))
    t.teardown(() => world.close())
    t.match(world.messages.join('\n'), message)
  }
})

t.test('what is an option of every plugin is not one of the blocks inside it', async t => {
  const world = await makeWorld(
    chain(
      plugin(
        'SendingLimit',
        'threshold = 5\n<User alice>\nthreshold = 9\non_error = continue\n</User>',
      ),
    ),
  )
  t.teardown(() => world.close())
  t.strictSame(world.messages, [
    'test.conf:9:1: warning: unknown option "on_error" in <User alice>',
  ])
})

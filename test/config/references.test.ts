/** `check` and names that nothing has. */

import t, { type Test } from 'tap'
import { definePlugin } from '../../daemon/policy/plugin.ts'
import { chain, makeWorld, plugin } from '../support/world.ts'

async function messagesOf(t: Test, blocks: string, globals = ''): Promise<readonly string[]> {
  const world = await makeWorld(chain(blocks, globals))
  t.teardown(() => world.close())
  return world.messages.map(message => message.replace(/^test\.conf:/, ''))
}

const zen = (name: string): string => plugin('RBL', 'domain = zen.example\nmode = passive', name)
const action = (from: string): string =>
  plugin('RBLAction', `result_from = ${from}\nre_match = ^127`, 'zen-sbl')

t.test('a block that a plugin takes its result from', async t => {
  t.strictSame(await messagesOf(t, zen('zen') + action('zen')), [])
  t.strictSame(await messagesOf(t, zen('zen') + action('zenn')), [
    '11:15: warning: "result_from" in <Plugin zen-sbl>: there is no RBL block "zenn"; did you mean "zen"?',
  ])
  t.strictSame(await messagesOf(t, action('zen') + zen('zen')), [
    '6:15: warning: "result_from" in <Plugin zen-sbl>: the RBL block "zen" runs after this one',
  ])
  t.match(await messagesOf(t, action('geoip') + plugin('GeoIPLookup', '', 'geoip')), [
    /there is no RBL block "geoip"$/,
  ])
  const awl = plugin('SaAwlAction', 'result_from = awl')
  t.match(await messagesOf(t, awl), [/there is no SaAwlLookup block "awl"$/])
  const geo = plugin('GeoIPAction', 'result_from = geo\ncountry_codes = CN')
  t.match(await messagesOf(t, geo), [/there is no GeoIPLookup block "geo"$/])
})

t.test('a block in another virtual host may have been asked about the mail before', async t => {
  const world = await makeWorld(
    `${chain(action('zen'))}<VirtualHost 12346>\nname = w\n${zen('zen')}</VirtualHost>\n`,
  )
  t.teardown(() => world.close())
  t.strictSame(world.messages, [])
})

t.test('a block inside another one, and one with a name of its own', async t => {
  const inside = plugin('Condition', `key = sender\nmatch = a\n${zen('zen')}`)
  t.strictSame(await messagesOf(t, inside + action('zen')), [])
  const named = plugin('RBL', 'domain = zen.example\nname = zen', 'other')
  t.strictSame(await messagesOf(t, named + action('zen')), [])
})

t.test('codes that are not of a country', async t => {
  const geo = (codes: string): string =>
    plugin('GeoIPLookup', '', 'geo') +
    plugin('GeoIPAction', `result_from = geo\ncountry_codes = "${codes}"`)
  t.strictSame(await messagesOf(t, geo('CN, RU,EU, A1')), [])
  for (const [codes, found] of [
    ['cn', '"cn" .*; did you mean "CN"\\?$'],
    ['DE,us', '"us" .*; did you mean "US"\\?$'],
    ['UK', '"UK" matches no country: expected two-letter ISO 3166 codes such as DE$'],
    ['Germany', '"Germany" matches no country'],
  ] as const) {
    t.match(await messagesOf(t, geo(codes)), [new RegExp(`"country_codes" in .*: ${found}`)])
  }
})

t.test('keys of the session that no plugin sets', async t => {
  const condition = (key: string, lines = ''): string =>
    plugin('Condition', `key = ${key}\nmatch = 1\naction = reject\n${lines}`)
  t.match(await messagesOf(t, condition('s:sen')), [
    /"key" in .*: no plugin of this file sets "sen"$/,
  ])
  const set = plugin('SetField', 'key = seen\nvalue = 1')
  t.strictSame(await messagesOf(t, set + condition('s:seen')), [])
  t.match(await messagesOf(t, set + condition('session:sen')), [
    /sets "sen"; did you mean "seen"\?$/,
  ])
  t.match(await messagesOf(t, condition('sender', 'uc_score = points')), [
    /"uc_score" in <Plugin condition>: no plugin of this file sets "points"$/,
  ])
  t.strictSame(await messagesOf(t, condition('s:score') + plugin('AddScoreHeader')), [])
  t.strictSame(await messagesOf(t, condition('s:rbl-zen-result')), [], 'what plugins keep')
  const db = '<Connection db>\nmodule = Sql\ndsn = dbi:SQLite::memory:\n</Connection>'
  t.strictSame(await messagesOf(t, plugin('SqlUserConfig') + condition('s:anything'), db), [])
})

t.test('attributes that Postfix does not send', async t => {
  const condition = (key: string): string => plugin('Condition', `key = ${key}\nmatch = a`)
  for (const key of [
    'sender',
    'r:client_address',
    'request:ccert_subject',
    'r:our_own_attribute',
  ]) {
    t.strictSame(await messagesOf(t, condition(key)), [], key)
  }
  t.match(await messagesOf(t, condition('client_adress')), [
    /Postfix sends no attribute "client_adress"; did you mean "client_address"\?$/,
  ])
})

t.test('nothing is certain beside a plugin of the operator’s own', async t => {
  const own = definePlugin({
    name: 'Own',
    summary: 'Sets what it wants.',
    settings: {},
    create: () => () => undefined,
  })
  const text = chain(plugin('Own') + plugin('Condition', 'key = s:theirs\nmatch = 1'))
  const world = await makeWorld(text, { plugins: [own] })
  t.teardown(() => world.close())
  t.strictSame(world.messages, [])
})

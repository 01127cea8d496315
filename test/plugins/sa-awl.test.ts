/** SaAwlLookup and SaAwlAction: reputation from SpamAssassin's auto-whitelist. */

import { rmSync } from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { loadBerkeleyDb, toolsMissing } from '../support/postfix-tables.ts'
import { chain, makeWorld, plugin, type World } from '../support/world.ts'

const skip = toolsMissing('db_load')

const CLIENT = '198.51.100.7'

/** What SpamAssassin would have written: sender, network, mails, sum of their scores. */
function awl(t: Test, entries: readonly (readonly [string, string, string, string?])[]): string {
  const path = join(t.testdir(), 'auto-whitelist')
  loadBerkeleyDb(
    path,
    entries.flatMap(([sender, network, count, sum]) => {
      const key = `${sender}|ip=${network}`
      const first = [key, count] as const
      return sum === undefined ? [first] : [first, [`${key}|totscore`, sum] as const]
    }),
  )
  return path
}

const HABITS = [
  ['bad@example.org', '198.51', '100', '2000'],
  ['good@example.org', '198.51', '100', '20'],
  ['new@example.org', '198.51', '5', '500'],
  ['half@example.org', '198.51', '50'],
  ['third@example.org', '198.51', '30', '200'],
  ['nice@example.org', '198.51', '20', '-100'],
  ['six@example.org', '2001:0DB8:0012::', '20', '200'],
  ['zero@example.org', '2001:0DB8::', '20', '200'],
  ['full@example.org', '2001:0DB8:0000::', '20', '200'],
  ['odd_@example.org', '198.51', '20', '200'],
  ['Kept@example.org', '198.51', '20', '200'],
  ['none@example.org', '198.51', '0', '200'],
] as const

async function rightWorld(t: Test, blocks: (path: string) => string, top = ''): Promise<World> {
  const world = await makeWorld(chain(blocks(awl(t, HABITS)), top))
  t.teardown(() => world.close())
  t.strictSame(world.messages, [])
  return world
}

function lookup(path: string): string {
  return plugin('SaAwlLookup', `db_file = "${path}"`, 'awl')
}

function action(lines: string): string {
  return plugin('SaAwlAction', `result_from = awl\n${lines}`, 'act')
}

t.test('a bad reputation is refused; new, unknown or good senders are not', { skip }, async t => {
  const message = 'reject_message = "%SENDER% from %IP% has %SCORE%"'
  const world = await rightWorld(t, path => lookup(path) + action(message))
  for (const [sender, client_address, answer] of [
    ['bad@example.org', CLIENT, `reject bad@example.org from ${CLIENT} has 20`],
    ['BAD@Example.ORG', CLIENT, `reject BAD@Example.ORG from ${CLIENT} has 20`],
    ['bad@example.org', `::ffff:${CLIENT}`, `reject bad@example.org from ::ffff:${CLIENT} has 20`],
    ['bad@example.org', '198.50.1.1', 'dunno'],
    ['good@example.org', CLIENT, 'dunno'],
    ['new@example.org', CLIENT, 'dunno'],
    ['half@example.org', CLIENT, 'dunno'],
    ['none@example.org', CLIENT, 'dunno'],
    ['nobody@example.org', CLIENT, 'dunno'],
    ['third@example.org', CLIENT, `reject third@example.org from ${CLIENT} has 6.66666666666667`],
    ['six@example.org', '2001:db8:12:7::1', 'reject six@example.org from 2001:db8:12:7::1 has 10'],
    ['six@example.org', '2001:db8:13::1', 'dunno'],
    ['zero@example.org', '2001:db8::1', 'reject zero@example.org from 2001:db8::1 has 10'],
    ['full@example.org', '2001:db8::1', 'reject full@example.org from 2001:db8::1 has 10'],
    ['odd!@example.org', CLIENT, `reject odd!@example.org from ${CLIENT} has 10`],
    ['Kept@example.org', CLIENT, `reject Kept@example.org from ${CLIENT} has 10`],
    ['', CLIENT, 'dunno'],
    ['bad@example.org', 'unknown', 'dunno'],
  ] as const) {
    t.equal(await world.ask({ sender, client_address }), answer, `${sender} ${client_address}`)
  }
  t.equal(await world.ask({ sender: 'bad@example.org' }), 'dunno')
  t.equal(await world.ask({ client_address: CLIENT }), 'dunno')
  t.match(world.notes.join('\n'), /bad@example\.org from 198\.51\.100\.7: 100 mails, mean score 20/)
  t.match(world.notes.join('\n'), /nothing known about nobody@example\.org/)
  t.strictSame(world.errors, [])
})

t.test('its modes and scores, above and below the threshold', { skip }, async t => {
  const header = plugin('AddScoreHeader')
  for (const [lines, sender, answer] of [
    ['', 'bad@example.org', 'reject sender address/ip has bad reputation'],
    ['mode = accept', 'bad@example.org', 'dunno'],
    ['mode = dunno', 'bad@example.org', 'dunno'],
    ['mode = passive\nscore = 5', 'bad@example.org', /score=5 \[act=5\]$/],
    ['mode = passive\nscore_factor = 0.5', 'bad@example.org', /score=10 \[act=10\]$/],
    ['mode = passive\nscore_factor = 0.5', 'third@example.org', /\[act=3\.33333333333333\]$/],
    ['mode = passive\nscore = 1\nscore_factor = 9', 'bad@example.org', /\[act=1\]$/],
    ['mode = passive\nscore = 5', 'good@example.org', /score=0$/],
    ['match = lt\nthreshold = -5', 'nice@example.org', /^reject/],
    ['match = lt\nthreshold = -5.5', 'nice@example.org', /score=0$/],
    ['match = lt\nthreshold = 0', 'bad@example.org', /score=0$/],
    ['threshold = 20', 'bad@example.org', /^reject/],
    ['threshold = 20.5', 'bad@example.org', /score=0$/],
    ['min_count = 5\nthreshold = 100', 'new@example.org', /^reject/],
    ['enabled = off', 'bad@example.org', /score=0$/],
  ] as const) {
    const world = await rightWorld(t, path => lookup(path) + action(lines) + header)
    t.match(await world.ask({ sender, client_address: CLIENT }), answer, `${lines} ${sender}`)
  }
  const uc = 'enabled = off\nuc_enabled = on\nuc_mode = mode'
  const set =
    plugin('SetField', 'key = on\nvalue = on') +
    plugin('SetField', 'key = mode\nvalue = dunno', 'm')
  const own = await rightWorld(t, path => set + lookup(path) + action(uc) + header)
  t.equal(await own.ask({ sender: 'bad@example.org', client_address: CLIENT }), 'dunno')
})

t.test('the score counts once per mail', { skip }, async t => {
  const memory = '<SessionCache>\nmodule = Memory\n</SessionCache>'
  const tell = plugin('Condition', 'key = s:score\ngt_match = 5\naction = reject twice', 'twice')
  const world = await rightWorld(
    t,
    path => lookup(path) + action('mode = passive\nscore = 5') + tell,
    memory,
  )
  const mail = { sender: 'bad@example.org', client_address: CLIENT, instance: 'a' }
  t.equal(await world.ask(mail), 'dunno')
  t.equal(await world.ask(mail), 'dunno')
})

t.test('any other comparison never matches, with a warning', { skip }, async t => {
  const world = await makeWorld(chain(lookup(awl(t, HABITS)) + action('match = eq')))
  t.match(world.messages, [
    /warning: "match" in .*expected one of: gt, lt, never, found "eq"; it counts as "never"/,
  ])
  t.equal(await world.ask({ sender: 'bad@example.org', client_address: CLIENT }), 'dunno')
})

t.test('an action without its lookup does nothing; a lookup without its file fails', async t => {
  const path = join(t.testdir(), 'auto-whitelist')
  const world = await makeWorld(chain(action('')))
  t.equal(await world.ask({ sender: 'bad@example.org', client_address: CLIENT }), 'dunno')
  t.strictSame(world.errors, [])
  const missing = await makeWorld(chain(lookup(path) + action('')))
  t.match(missing.messages, [/error: "db_file" in .*auto-whitelist: there is no such file/])
  t.equal(await missing.ask({ sender: 'bad@example.org', client_address: CLIENT }), 'dunno')
  t.match(missing.errors, [/plugin awl failed: .*there is no such file/])
  const byDefault = await makeWorld(chain(plugin('SaAwlLookup')))
  if (byDefault.messages.length > 0) {
    t.match(byDefault.messages, [/\/var\/lib\/amavis\/\.spamassassin\/auto-whitelist/])
  }
})

t.test('SpamAssassin keeps writing, and changes count immediately', { skip }, async t => {
  let path = ''
  const world = await rightWorld(t, file => {
    path = file
    return lookup(file) + action('')
  })
  const late = { sender: 'late@example.org', client_address: CLIENT }
  t.equal(await world.ask(late), 'dunno')
  loadBerkeleyDb(path, [
    ['late@example.org|ip=198.51', '20'],
    ['late@example.org|ip=198.51|totscore', '400'],
  ])
  t.match(await world.ask(late), /^reject/)
  rmSync(path)
  t.match(await world.ask(late), /^reject/, 'as long as we have it open')
})

/** RBL, RBLAction and DBL: mail and DNS block lists, over a real resolver and a name server. */

import t, { type Test } from 'tap'
import { openResolver, type ResolverStatus } from '../../daemon/lookup/resolver.ts'
import { systemClock } from '../../daemon/system/clock.ts'
import { type DnsZone, type FakeDnsServer, startDnsServer } from '../support/dns-server.ts'
import { chain, makeWorld, plugin, type World } from '../support/world.ts'

const ZONE: DnsZone = {
  '1.2.0.192.list.example': { A: ['127.0.0.4'], TXT: ['https://list.example/192.0.2.1'] },
  '2.2.0.192.list.example': { A: ['127.0.0.2'] },
  '3.2.0.192.list.example': { A: ['127.0.0.11', '127.0.0.4'], TXT: [['part one, ', 'part two']] },
  '4.2.0.192.list.example': { TXT: ['a text alone'] },
  '5.2.0.192.list.example': 'SERVFAIL',
  '6.2.0.192.list.example': { A: ['127.255.255.254'], TXT: ['open resolver'] },
  '7.2.0.192.list.example': { A: ['203.0.113.1'] },
  '8.2.0.192.list.example': { A: ['127.0.0.2'], TXT: ['see "quoted" %IP% \\ back', 'more'] },
  '9.2.0.192.list.example': { A: ['127.0.0.2'], TXT: ['x'.repeat(200), 'y'.repeat(200)] },
  '1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.list.example': {
    A: ['127.0.0.3'],
  },
  'bad.example.dbl.example': { A: ['127.0.1.2'], TXT: ['https://dbl.example/bad'] },
  'mail.bad.example.dbl.example': { A: ['127.0.1.2'] },
  'xn--bd-via.example.dbl.example': { A: ['127.0.1.2'] },
  'refused.example.dbl.example': { A: ['127.255.255.255'] },
  'both.example.dbl.example': { A: ['127.0.0.1', '127.0.0.2'] },
  '8.8.8.8.list.example': { A: ['127.0.0.2'] },
}

const SESSIONS = '<SessionCache>\nmodule = Memory\n</SessionCache>'
const LIST = 'domain = "list.example"'
const PASSIVE = `${LIST}\nmode = passive`
const DBL = 'domain = "dbl.example"'
const END = plugin('Action', 'action = "reject end"')
const HEADER = plugin('AddScoreHeader')

interface Listed extends World {
  readonly dns: FakeDnsServer
  /** What the resolver tells the administrator. */
  readonly log: readonly string[]
  refusing(): ResolverStatus['refusing']
  /** The answer to a mail of this client. */
  from(client: string): Promise<string | undefined>
}

async function listedWorld(t: Test, blocks: string, globals = ''): Promise<Listed> {
  const dns = await startDnsServer({ ...ZONE })
  const log: string[] = []
  const resolver = openResolver({
    env: dns.env,
    clock: systemClock,
    log: message => void log.push(message),
  })
  resolver.setDeadline(5000)
  const world = await makeWorld(chain(blocks, globals), { dns: resolver })
  t.teardown(async () => {
    world.close()
    resolver.close()
    await dns.close()
  })
  const from = (client: string) => world.ask({ client_address: client })
  const refusing = () => resolver.status().refusing
  return Object.assign(world, { dns, from, log, refusing })
}

/** Nothing is wrong with the configuration. */
async function rightWorld(t: Test, blocks: string, globals = ''): Promise<Listed> {
  const world = await listedWorld(t, blocks, globals)
  t.strictSame(world.messages, [])
  return world
}

t.test('RBL refuses a client that is listed, with the list’s explanation', async t => {
  const world = await rightWorld(t, plugin('RBL', LIST) + END)
  t.equal(
    await world.from('192.0.2.1'),
    'reject delivery from 192.0.2.1 rejected (https://list.example/192.0.2.1)',
  )
  t.strictSame(world.dns.questions, ['1.2.0.192.list.example A', '1.2.0.192.list.example TXT'])
  t.equal(await world.from('192.0.2.100'), 'reject end', 'not listed')
  t.equal(await world.from('192.0.2.4'), 'reject end', 'a text alone is not a listing')
  t.equal(world.dns.questions.length, 4, 'no explanation is looked up without a listing')
})

t.test('RBL: an explanation is plain text, complete up to a limit', async t => {
  const world = await rightWorld(t, plugin('RBL', LIST))
  t.equal(
    await world.from('192.0.2.3'),
    'reject delivery from 192.0.2.3 rejected (part one, part two)',
  )
  t.match(await world.from('192.0.2.8'), /rejected \(.*see "quoted" %IP% \\ back.*\)$/)
  t.match(await world.from('192.0.2.8'), /more/)
  t.equal(
    await world.from('192.0.2.2'),
    'reject delivery from 192.0.2.2 rejected',
    'without one, no blank is left at the end',
  )
  const long = await world.from('192.0.2.9')
  t.ok(long && long.length < 420)
})

t.test('RBL: a placeholder is filled in wherever it stands', async t => {
  const text = '5.7.1 blocked %IP% %IP% because %INFO% %INFO%'
  const world = await rightWorld(t, plugin('RBL', `${LIST}\nreject_message = "${text}"`))
  t.equal(
    await world.from('192.0.2.1'),
    'reject 5.7.1 blocked 192.0.2.1 192.0.2.1 because (https://list.example/192.0.2.1) (https://list.example/192.0.2.1)',
  )
  t.equal(await world.from('192.0.2.2'), 'reject 5.7.1 blocked 192.0.2.2 192.0.2.2 because')
})

t.test('RBL: IPv6 clients are looked up too', async t => {
  const world = await rightWorld(t, plugin('RBL', LIST) + END)
  t.equal(await world.from('2001:DB8::1'), 'reject delivery from 2001:DB8::1 rejected')
  t.equal(await world.from('2001:db8::2'), 'reject end')
  t.match(await world.from('::ffff:192.0.2.1'), /^reject delivery/, 'as the IPv4 address it means')
})

t.test('RBL: anything but an address is not looked up', async t => {
  const world = await rightWorld(t, plugin('RBL', LIST) + END)
  for (const client of ['', 'unknown', 'localhost', '1.2.3', '999.0.2.1']) {
    t.equal(await world.from(client), 'reject end', client)
  }
  t.equal(await world.ask({}), 'reject end', 'no client_address at all')
  t.strictSame(world.dns.questions, [])
  t.strictSame(world.errors, [])
})

t.test('RBL: a list that fails lists nobody', async t => {
  const world = await rightWorld(t, plugin('RBL', LIST) + END, 'on_failure = close')
  t.equal(await world.from('192.0.2.5'), 'reject end', 'SERVFAIL')
  t.match(world.notes, [/5\.2\.0\.192\.list\.example: SERVFAIL/])
  t.strictSame(world.errors, [], 'and it is no failure of the plugin')
})

t.test('RBL: an answer that is not a listing lists nobody', async t => {
  const world = await rightWorld(t, plugin('RBL', LIST) + END)
  t.equal(await world.from('192.0.2.6'), 'reject end', 'the list refuses the question')
  t.equal(await world.from('192.0.2.7'), 'reject end', 'the list is gone, its domain is parked')
  t.match(world.notes, [/127\.255\.255\.254 is not a listing/, /203\.0\.113\.1 is not a listing/])
})

t.test('RBL and DBL: an error code lists nobody, and is reported', async t => {
  const codes = ['127.0.0.255', '127.0.1.255', '127.0.2.255', '127.0.10.3', '127.255.255.252']
  const accept = plugin('RBL', `${LIST}\nmode = accept`)
  const world = await rightWorld(t, accept + plugin('DBL', DBL) + END)
  for (const [index, code] of [...codes, '127.0.0.1'].entries()) {
    const client = `198.51.100.${index}`
    const sender = `a@${index}.example`
    world.dns.zone[`${index}.example.dbl.example`] = { A: [code] }
    t.equal(await world.ask({ sender }), 'reject end', `${code} of a list of domains`)
    world.dns.zone[`${index}.100.51.198.list.example`] = { A: [code] }
    const expected = code === '127.0.0.1' ? 'dunno' : 'reject end'
    t.equal(await world.from(client), expected, `${code} of a list of addresses`)
  }
  t.equal(await world.ask({ sender: 'a@both.example' }), 'reject sender rejected (both.example)')
  t.match(world.log, [
    'the DNS list dbl.example answers 127.0.0.255: it refuses queries from this server; ',
    'the DNS list list.example answers 127.0.0.255: it refuses queries from this server; ',
  ])
  t.match(world.refusing(), [
    { list: 'dbl.example', answer: '127.0.0.255' },
    { list: 'list.example', answer: '127.0.0.255' },
  ])
})

t.test('RBL and DBL: which codes are errors can be set', async t => {
  const codes = 'error_codes = "127.0.0.4, 127.255.0.0/255.255.0.0"'
  const world = await rightWorld(t, plugin('RBL', `${LIST}\n${codes}`) + plugin('DBL', DBL) + END)
  t.equal(await world.from('192.0.2.1'), 'reject end', '127.0.0.4')
  t.match(await world.from('192.0.2.3'), /^reject delivery/, 'also 127.0.0.11')
  t.equal(await world.from('192.0.2.6'), 'reject end', '127.255.255.254')
  world.dns.zone['10.2.0.192.list.example'] = { A: ['127.0.0.255'] }
  t.match(await world.from('192.0.2.10'), /^reject delivery/)
  const none = await rightWorld(t, plugin('DBL', `${DBL}\nerror_codes = ""`) + END)
  t.match(await none.ask({ sender: 'a@refused.example' }), /^reject sender/)
  for (const wrong of ['203.0.113.1', '127.0.0.x', '127.0.0.0/33', 'refused']) {
    const { messages } = await listedWorld(t, plugin('RBL', `${LIST}\nerror_codes = "${wrong}"`))
    t.match(messages, [/error: "error_codes".*addresses or networks in 127\.0\.0\.0\/8/], wrong)
  }
})

t.test('RBL and DBL: the log says why an answer is not a listing', async t => {
  const world = await rightWorld(t, plugin('RBL', LIST) + plugin('DBL', DBL) + END)
  world.dns.zone['10.2.0.192.list.example'] = { A: ['203.0.113.1'] }
  world.dns.zone['b.example.dbl.example'] = { A: ['127.0.1.255'] }
  await world.ask({ client_address: '192.0.2.10', sender: 'a@b.example' })
  t.match(world.log.toSorted(), [
    'dbl.example answers 127.0.1.255: it lists domains, not addresses; the answer is ignored',
    'list.example answers 203.0.113.1: that is not an answer of a block list; the answer is ignored',
  ])
})

t.test('RBL and DBL: a list of everything lists nobody', async t => {
  const world = await rightWorld(t, plugin('RBL', LIST) + plugin('DBL', DBL) + END)
  const names = ['invalid', ...[0, 1, 2, 3, 4, 5].flatMap(n => [`${n}.2.0.192`, `${n}.example`])]
  for (const name of names) {
    for (const zone of ['list', 'dbl']) {
      world.dns.zone[`${name}.${zone}.example`] = { A: ['127.0.0.2'] }
    }
  }
  for (const ask of [
    (n: number) => world.ask({ client_address: `192.0.2.${n}` }),
    (n: number) => world.ask({ sender: `a@${n}.example` }),
  ]) {
    const answers: (string | undefined)[] = []
    for (let n = 0; n < 6; n++) answers.push(await ask(n))
    t.strictSame(answers.slice(3), ['reject end', 'reject end', 'reject end'])
  }
  t.match(world.log, [
    'the DNS list list.example answers 127.0.0.2: it lists every name; the answer is ignored',
    'the DNS list dbl.example answers 127.0.0.2: it lists every name; the answer is ignored',
  ])
})

t.test('RBL: many listings in a row are verified', async t => {
  const world = await rightWorld(t, plugin('RBL', LIST) + END)
  for (let round = 0; round < 5; round++) {
    for (const client of ['192.0.2.1', '192.0.2.2', '192.0.2.3']) {
      t.match(await world.from(client), /^reject delivery/)
    }
  }
  t.equal(world.dns.asked('invalid.list.example'), 1)
})

t.test(
  'RBL: a client behind a NAT64 translator is looked up as the IPv4 address it is',
  async t => {
    const world = await rightWorld(t, plugin('RBL', LIST) + END)
    t.match(await world.from('64:ff9b::8.8.8.8'), /^reject delivery from 64:ff9b::8\.8\.8\.8/)
  },
)

t.test('lists of a chain share what they know, however the domain is written', async t => {
  const other = plugin('RBL', 'domain = "LIST.Example."\nmode = passive', 'other')
  const world = await rightWorld(t, other + plugin('RBL', LIST) + END)
  t.equal(await world.from('192.0.2.6'), 'reject end')
  t.equal(world.log.length, 1)
})

t.test('RBL: accept ends the chain, passive scores and continues', async t => {
  const accept = await rightWorld(t, plugin('RBL', `${LIST}\nmode = accept`) + END)
  t.equal(await accept.from('192.0.2.1'), 'dunno')
  t.equal(await accept.from('192.0.2.100'), 'reject end')
  const passive = await rightWorld(t, plugin('RBL', `${PASSIVE}\nscore = 2.5`, 'zen') + HEADER)
  t.equal(await passive.from('192.0.2.1'), 'PREPEND X-MtScore: NO score=2.5 [zen=2.5]')
})

t.test('RBL: any other mode is passive, with a warning', async t => {
  const world = await listedWorld(t, plugin('RBL', `${LIST}\nmode = dunno`) + END)
  t.match(world.messages, [
    /warning: "mode".*expected one of: reject, accept, passive, found "dunno"; it counts as "passive"/,
  ])
  t.equal(await world.from('192.0.2.1'), 'reject end')
})

t.test('RBL: an invalid domain is a warning', async t => {
  const world = await listedWorld(t, plugin('RBL', 'domain = "list example"') + END)
  t.match(world.messages, [/warning: "domain".*"list example" is not a domain/])
  t.equal(await world.from('192.0.2.1'), 'reject end')
  const dot = await rightWorld(t, plugin('RBL', 'domain = "list.example."'))
  t.match(await dot.from('192.0.2.1'), /^reject delivery/)
})

t.test('RBL: on or off, and the mode, may come from the mail', async t => {
  const set = (key: string, value: string) =>
    plugin('SetField', `key = ${key}\nvalue = ${value}`, `set-${key}`)
  const twins = 'uc_enabled = e\nuc_mode = m'
  const off = plugin('RBL', `${LIST}\nenabled = off\nscore = 3\n${twins}`)
  const world = await rightWorld(t, set('e', 'on') + set('m', 'passive') + off + HEADER)
  t.equal(await world.from('192.0.2.1'), 'PREPEND X-MtScore: NO score=3 [rbl=3]')
  const on = await rightWorld(t, set('e', 'off') + plugin('RBL', `${LIST}\nuc_enabled = e`) + END)
  t.equal(await on.from('192.0.2.1'), 'reject end')
  t.strictSame(on.dns.questions, [], 'what is off asks nobody')
})

t.test('RBL: the score counts once per mail, and the list is queried once', async t => {
  const world = await rightWorld(t, plugin('RBL', `${PASSIVE}\nscore = 5`) + HEADER, SESSIONS)
  const mail = { instance: '1', client_address: '192.0.2.2' }
  t.match(await world.ask({ ...mail, recipient: 'a@example.org' }), /score=5 /)
  await world.ask({ ...mail, recipient: 'b@example.org' })
  t.match(await world.ask({ ...mail, instance: '2' }), /score=5 /)
  t.equal(world.dns.asked('2.2.0.192.list.example', 'A'), 1)
})

t.test('the lists of a chain are queried at the same time', async t => {
  const dead = plugin('RBL', 'domain = "dead.example"\nmode = passive', 'dead')
  const world = await rightWorld(t, dead + plugin('RBL', LIST, 'live') + plugin('DBL', DBL))
  world.dns.zone['1.2.0.192.dead.example'] = 'DROP'
  let isAnswered = false
  const mail = { client_address: '192.0.2.1', sender: 'a@bad.example' }
  const answered = world.ask(mail).then(action => {
    isAnswered = true
    return action
  })
  const there = (question: string) => world.dns.questions.includes(question)
  while (!there('1.2.0.192.list.example TXT') || !there('bad.example.dbl.example TXT')) {
    await new Promise(resolve => setTimeout(resolve, 5))
  }
  t.notOk(isAnswered, 'while the first one is waited for')
  world.dns.zone['1.2.0.192.dead.example'] = {}
  t.match(await answered, /^reject delivery .*list\.example/)
})

t.test('a dead list does not stop mail, and soon does not delay it either', async t => {
  const names = Array.from({ length: 10 }, (_, index) => `${index}.2.0.192.dead.example`)
  const dns = await startDnsServer(Object.fromEntries(names.map(name => [name, 'DROP'])))
  const resolver = openResolver({ env: dns.env, clock: systemClock, log: () => undefined })
  resolver.setDeadline(200)
  const world = await makeWorld(
    chain(plugin('RBL', 'domain = "dead.example"') + END, 'on_failure = close'),
    { dns: resolver },
  )
  t.teardown(async () => {
    world.close()
    resolver.close()
    await dns.close()
  })
  for (let i = 0; i < 10; i++) {
    t.equal(await world.ask({ client_address: `192.0.2.${i}` }), 'reject end')
  }
  t.equal(new Set(dns.questions).size, 3, 'after three it is skipped')
  t.strictSame(
    resolver.status().silent.map(({ list }) => list),
    ['dead.example'],
  )
})

t.test('RBLAction distinguishes the reasons for a listing', async t => {
  const react = (name: string, pattern: string) =>
    plugin(
      'RBLAction',
      `result_from = zen\nre_match = "${pattern}"\nreject_message = ${name}`,
      name,
    )
  const world = await rightWorld(
    t,
    plugin('RBL', PASSIVE, 'zen') + react('SBL', '^127\\.0\\.0\\.[23]$') + react('XBL', '4$') + END,
  )
  t.equal(await world.from('192.0.2.2'), 'reject SBL')
  t.equal(await world.from('192.0.2.1'), 'reject XBL')
  t.equal(await world.from('192.0.2.3'), 'reject XBL', 'any address of several')
  t.equal(await world.from('192.0.2.100'), 'reject end')
})

t.test('RBLAction: score, modes and default text are those of RBL', async t => {
  const react = (lines: string, name = 'react') =>
    plugin('RBLAction', `result_from = zen\nre_match = "^127"\n${lines}`, name)
  const zen = plugin('RBL', PASSIVE, 'zen')
  const text = await rightWorld(t, zen + react('') + END)
  t.equal(
    await text.from('192.0.2.1'),
    'reject delivery from 192.0.2.1 rejected (https://list.example/192.0.2.1)',
  )
  t.equal(await text.from('192.0.2.2'), 'reject delivery from 192.0.2.2 rejected')
  const accept = await rightWorld(t, zen + react('mode = accept') + END)
  t.equal(await accept.from('192.0.2.1'), 'dunno')
  const off = await rightWorld(t, zen + react('enabled = off') + END)
  t.equal(await off.from('192.0.2.1'), 'reject end')
  const set = plugin('SetField', 'key = m\nvalue = reject')
  const twin = await rightWorld(t, set + zen + react('mode = passive\nuc_mode = m') + END)
  t.match(await twin.from('192.0.2.1'), /^reject delivery/)
  const wrong = await listedWorld(t, zen + react('mode = dunno') + END)
  t.match(wrong.messages, [/found "dunno"; it counts as "passive"/])
  const mail = { instance: '1', client_address: '192.0.2.1' }
  const scores = await rightWorld(t, zen + react('mode = passive\nscore = 2') + HEADER, SESSIONS)
  t.equal(await scores.ask(mail), 'PREPEND X-MtScore: NO score=2 [react=2]')
  t.equal(await scores.ask(mail), 'dunno', 'once per mail')
})

t.test('RBLAction: the result of a later RBL block is not known yet', async t => {
  const react = plugin('RBLAction', 'result_from = zen\nre_match = .')
  const world = await listedWorld(t, react + plugin('RBL', PASSIVE, 'zen') + END, SESSIONS)
  t.match(world.messages, [/warning: .*the RBL block "zen" runs after this one$/])
  const mail = { instance: '1', client_address: '192.0.2.1' }
  t.equal(await world.ask(mail), 'reject end')
  t.match(await world.ask(mail), /^reject delivery/, 'but to the next recipient')
})

t.test('RBLAction: a listing that no longer exists has no effect', async t => {
  const react = plugin('RBLAction', 'result_from = zen\nre_match = .')
  const world = await rightWorld(t, plugin('RBL', PASSIVE, 'zen') + react + END, SESSIONS)
  t.match(await world.ask({ instance: '1', client_address: '192.0.2.1' }), /^reject delivery/)
  t.equal(await world.ask({ instance: '1', client_address: '192.0.2.100' }), 'reject end')
})

t.test('RBLAction needs a valid regular expression', async t => {
  const zen = plugin('RBL', PASSIVE, 'zen')
  const none = await listedWorld(t, zen + plugin('RBLAction', 'result_from = zen'))
  t.match(none.messages, [/needs "re_match"/])
  t.ok(none.problems.some(({ severity }) => severity === 'fatal'))
  const bad = plugin('RBLAction', 'result_from = zen\nre_match = "(127"')
  const world = await listedWorld(t, zen + bad + END)
  t.match(world.messages, [/error: "re_match".*a "\(" without its "\)"/])
  t.equal(await world.from('192.0.2.1'), 'reject end')
  t.match(world.errors, [/plugin rblaction failed/])
  t.equal(await world.from('192.0.2.100'), 'reject end')
  t.equal(world.errors.length, 1, 'it fails where it is needed')
})

const mail = {
  sender: 'a@good.example',
  reverse_client_name: 'good.example',
  helo_name: 'good.example',
}

t.test('DBL refuses a listed sender or client name; HELO only scores', async t => {
  const world = await rightWorld(t, plugin('DBL', DBL, 'dbl') + HEADER)
  t.equal(
    await world.ask({ ...mail, sender: 'a@bad.example' }),
    'reject sender rejected (bad.example, https://dbl.example/bad)',
  )
  t.equal(
    await world.ask({ ...mail, reverse_client_name: 'mail.bad.example' }),
    'reject reverse_client_name rejected (mail.bad.example)',
  )
  t.equal(
    await world.ask({ ...mail, helo_name: 'bad.example' }),
    'PREPEND X-MtScore: NO score=1 [dbl-helo_name=1]',
  )
  t.equal(await world.ask(mail), 'PREPEND X-MtScore: NO score=0')
})

t.test('DBL: scores and modes of each check, in order, once per mail', async t => {
  const lines = `${DBL}
    sender_mode = passive\nsender_score = 1.5
    reverse_client_name_mode = passive\nreverse_client_name_score = 0
    helo_name_score = -2`
  const bad = {
    sender: 'a@bad.example',
    reverse_client_name: 'mail.bad.example',
    helo_name: 'bad.example',
  }
  const world = await rightWorld(t, plugin('DBL', lines, 'd') + HEADER, SESSIONS)
  t.equal(
    await world.ask({ instance: '1', ...bad }),
    'PREPEND X-MtScore: NO score=-0.5 [d-sender=1.5, d-reverse_client_name=0, d-helo_name=-2]',
  )
  t.equal(await world.ask({ instance: '1', ...bad }), 'dunno')
  const helo = await rightWorld(t, plugin('DBL', `${DBL}\nhelo_name_mode = reject`))
  t.match(await helo.ask({ ...mail, helo_name: 'bad.example' }), /^reject helo_name rejected/)
  const first = await rightWorld(t, plugin('DBL', DBL))
  t.match(await first.ask(bad), /^reject sender/)
})

t.test('DBL looks up names with a dot and nothing else', async t => {
  const world = await rightWorld(t, plugin('DBL', DBL) + END)
  const nothing: Readonly<Record<string, string>>[] = [
    {},
    { sender: '', reverse_client_name: 'unknown', helo_name: 'localhost' },
    { sender: 'postmaster', reverse_client_name: '192.0.2.1', helo_name: '[192.0.2.1]' },
    { sender: 'a@b', reverse_client_name: '::1', helo_name: '[IPv6:2001:db8::1.2.3.4]' },
    { sender: 'a@[192.0.2.1]', helo_name: '2001:db8::192.0.2.1' },
    { sender: 'a@localhost.', reverse_client_name: '192.0.2.1.', helo_name: '.' },
  ]
  for (const attributes of nothing) {
    t.equal(await world.ask(attributes), 'reject end', JSON.stringify(attributes))
  }
  t.strictSame(world.dns.questions, [])
  t.strictSame(world.errors, [], 'what is missing is no failure')
})

t.test('DBL: the domain of a sender is what follows the last @, in its case', async t => {
  const world = await rightWorld(t, plugin('DBL', `${DBL}\nreject_message = "%HOSTNAME%"`) + END)
  for (const [sender, hostname] of [
    ['a@b@bad.example', 'bad.example'],
    ['192.0.2.1@bad.example', 'bad.example'],
    ['a:b@bad.example', 'bad.example'],
    ['a@BAD.Example', 'BAD.Example'],
    ['a@bad.example.', 'bad.example'],
    ['a@bad\u3002example\u3002', 'bad\u3002example\u3002'],
    ['a@bäd.example', 'bäd.example'],
  ] as const) {
    t.equal(await world.ask({ sender }), `reject ${hostname}`, sender)
  }
  t.equal(await world.ask({ sender: 'a@b..c' }), 'reject end')
  t.equal(await world.ask({ sender: 'bad.example@good.example' }), 'reject end')
})

t.test('DBL queries all names at once, and a list that refuses lists nobody', async t => {
  const world = await rightWorld(t, plugin('DBL', DBL) + END)
  const names = { sender: 'a@refused.example', reverse_client_name: 'b.c', helo_name: 'd.e' }
  world.dns.zone['refused.example.dbl.example'] = 'DROP'
  const answered = world.ask(names)
  while (world.dns.questions.length < 3) await new Promise(resolve => setTimeout(resolve, 5))
  t.strictSame(
    new Set(world.dns.questions),
    new Set(['refused.example.dbl.example A', 'b.c.dbl.example A', 'd.e.dbl.example A']),
  )
  world.dns.zone['refused.example.dbl.example'] = { A: ['127.255.255.255'] }
  t.equal(await answered, 'reject end')
})

t.test('DBL: switched off for one mail; an unknown mode is a warning', async t => {
  const set = plugin('SetField', 'key = spamhaus\nvalue = off')
  const off = await rightWorld(t, set + plugin('DBL', `${DBL}\nuc_enabled = spamhaus`) + END)
  t.equal(await off.ask({ ...mail, sender: 'a@bad.example' }), 'reject end')
  const world = await listedWorld(t, plugin('DBL', `${DBL}\nsender_mode = accept`) + END)
  t.match(world.messages, [
    /"sender_mode".*expected one of: reject, passive, found "accept"; it counts as "passive"/,
  ])
  t.equal(await world.ask({ ...mail, sender: 'a@bad.example' }), 'reject end')
})

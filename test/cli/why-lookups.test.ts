/**
 * `mtpolicyctl why` for mail that a lookup has refused: which list and what it answered, which SPF result and
 * mechanism, until when greylisting lasts, and what lets such mail pass. The advice is followed, too.
 */

import { readFileSync, writeFileSync } from 'node:fs'
import t, { type Test } from 'tap'
import { memcached } from '../../scripts/servers/memcached.ts'
import { missingPrograms, runServer } from '../../scripts/servers/server.ts'
import { startDnsServer } from '../support/dns-server.ts'
import { type HistoryDaemon, historyDaemon } from '../support/history-daemon.ts'
import { plugin } from '../support/world.ts'

const CLIENT = '198.51.100.7'
const MAIL = {
  request: 'smtpd_access_policy',
  protocol_state: 'RCPT',
  client_address: CLIENT,
  client_name: 'unknown',
  helo_name: 'mail.example.net',
  sender: 'carol@spammer.example',
  recipient: 'alice@example.org',
  instance: 'a.1',
}

interface Shown {
  readonly found: string
  readonly place: string
  readonly remedies: readonly { readonly text: string; readonly command: string }[]
}

async function refused(t: Test, daemon: HistoryDaemon): Promise<{ shown: Shown; text: string }> {
  const told = await daemon.ask(MAIL)
  const code = /\((...-...)\)$/.exec(told ?? '')?.[1]
  if (code === undefined) throw new Error(`not refused: ${told}`)
  await daemon.explained(code)
  const shown: Shown = JSON.parse((await daemon.ctl('why', code, '--json')).stdout)
  const text = (await daemon.ctl('why', code)).stdout
  const tooLong = text
    .split('\n')
    .filter(line => line.length > 79 && !line.includes(daemon.paths.config))
  t.strictSame(tooLong, [])
  return { shown, text }
}

/** Another configuration, in force. */
async function change(daemon: HistoryDaemon, from: string, to: string): Promise<void> {
  const text = readFileSync(daemon.paths.config, 'utf8')
  writeFileSync(
    daemon.paths.config,
    text.replace(from, () => to),
  )
  await daemon.ctl('reload')
}

/** As the advice has it, with the values that stand in it. */
function enclosed(blocks: string, { text }: { readonly text: string }): string {
  const value = (name: string): string => new RegExp(`${name} = "([^"]*)"`).exec(text)?.[1] ?? ''
  const lines = ['module', 'key', 'match', 'invert'].map(name => `${name} = "${value(name)}"\n`)
  return `<Plugin spared>\n${lines.join('')}${blocks}\n</Plugin>`
}

t.before(async () => {
  const dns = await startDnsServer({
    '7.100.51.198.zen.example': { A: ['127.0.0.4', '127.0.0.11'], TXT: ['https://zen.example/q'] },
    'spammer.example.dbl.example': { A: ['127.0.1.2'] },
    'spammer.example': { TXT: ['v=spf1 ip4:192.0.2.0/24 -all'] },
  })
  Object.assign(process.env, dns.env)
  t.teardown(() => dns.close())
})

t.test('a block list: its name and answers, and how one client is spared', async t => {
  const block = plugin('RBL', 'domain = "zen.example"', 'zen')
  const daemon = await historyDaemon(t, { plugins: block })
  const { shown, text } = await refused(t, daemon)
  t.equal(shown.found, 'listed by zen.example 127.0.0.4,127.0.0.11')
  t.match(text, /^Found {8}listed by zen\.example 127\.0\.0\.4,127\.0\.0\.11$/m)
  const [remedy] = shown.remedies
  t.match(remedy, { command: 'mtpolicyctl reload' })
  t.match(remedy?.text, `Have ${CLIENT} removed from the list by its operators; or`)
  t.match(remedy?.text, shown.place)
  await change(daemon, block, enclosed(block, remedy ?? { text: '' }))
  t.equal(await daemon.ask({ ...MAIL, instance: 'a.2' }), 'dunno')
})

t.test('a block list of domains: which domain of the mail it has', async t => {
  const block = plugin('DBL', 'domain = "dbl.example"', 'dbl')
  const daemon = await historyDaemon(t, { plugins: block })
  const { shown } = await refused(t, daemon)
  t.equal(shown.found, 'listed by dbl.example 127.0.1.2 spammer.example (sender)')
  const [remedy] = shown.remedies
  t.match(
    remedy?.text,
    /^Have spammer\.example removed .* key = "sender", match = "carol@spammer\.example"/,
  )
  await change(daemon, block, enclosed(block, remedy ?? { text: '' }))
  t.equal(await daemon.ask({ ...MAIL, instance: 'a.2' }), 'dunno')
})

t.test('SPF: the result, the domain and the mechanism', async t => {
  const daemon = await historyDaemon(t, { plugins: plugin('SPF', 'check_helo = off', 'spf') })
  const { shown } = await refused(t, daemon)
  t.match(shown.found, /^SPF fail \(spammer\.example: .*mechanism '-all' matched\)\)$/)
  const [remedy] = shown.remedies
  t.match(remedy?.text, new RegExp(`can add ${CLIENT} to its record; or .* add it to whitelist in`))
  await change(daemon, 'check_helo = off', `check_helo = off\nwhitelist = ${CLIENT}`)
  t.equal(await daemon.ask({ ...MAIL, instance: 'a.2' }), 'dunno')
})

t.test('a score: how much, and of which blocks', async t => {
  const daemon = await historyDaemon(t, {
    plugins:
      plugin('RBL', 'domain = "zen.example"\nmode = passive\nscore = 5', 'zen') +
      plugin('SPF', 'check_helo = off\nfail_mode = passive\nfail_score = 4', 'spf') +
      plugin('ScoreAction', 'threshold = 8\naction = "reject too bad"', 'sum'),
  })
  const { shown, text } = await refused(t, daemon)
  t.match(shown.found, /; score 9 \(zen=5, spf=4\)$/)
  t.match(shown.remedies[0]?.text, /^Change threshold, which 9 has reached, in <Plugin sum> at /)
  t.match(
    text,
    /^ {4}found: listed zen\.example 127\.0\.0\.4,127\.0\.0\.11$/m,
    'what each step saw',
  )
})

t.test(
  'greylisting: when an attempt passes',
  { skip: missingPrograms(['memcached']).length > 0 },
  async t => {
    const server = await runServer(memcached, {})
    t.teardown(() => server.remove())
    const daemon = await historyDaemon(t, {
      globals: `<Connection memcached>\nmodule = Memcached\nservers = "127.0.0.1:${server.port}"\n</Connection>`,
      plugins: plugin(
        'Greylist',
        'use_autowl = 0\nmin_retry_wait = 1\nmax_retry_wait = 600\n<Ticket>\nmodule = Memcached\n</Ticket>',
        'grey',
      ),
    })
    const { shown } = await refused(t, daemon)
    const until = /^greylisted until (\d{4}-\d\d-\d\d \d\d:\d\d:\d\d)$/.exec(shown.found)?.[1] ?? ''
    t.match(
      shown.remedies[0]?.text,
      `It passes when it is tried again from that address after ${until}; or`,
    )
    const left = new Date(until).getTime() - Date.now()
    t.ok(left > 0 && left <= 3000, `${left} ms`)
    await new Promise(resolve => setTimeout(resolve, left))
    t.equal(await daemon.ask({ ...MAIL, instance: 'a.2' }), 'dunno')
  },
)

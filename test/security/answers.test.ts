/**
 * Whatever strangers write into a mail, a DNS record or a reply: what Postfix is told is one line,
 * of bounded length, and begins with the word that the operator's file has chosen.
 */

import fc from 'fast-check'
import t, { type Test } from 'tap'
import type { DnsAnswer, DnsType, Resolver } from '../../daemon/policy/ports/dns.ts'
import { formatReply } from '../../daemon/wire/reply.ts'
import { installDaemon } from '../support/daemon.ts'
import { runs } from '../support/fuzz.ts'
import { answering, peerServer } from '../support/peer-server.ts'
import { policyClient, requestText } from '../support/policy-client.ts'
import { chain, makeWorld, plugin, type World, type WorldOptions } from '../support/world.ts'

const LONGEST = 4096

/** What a stranger would write who wants to say something of his own. */
const TEXTS = [
  'a\r\naction=ok',
  'a\n\naction=ok\n\n',
  '\n\n',
  'a\raction=ok\r\r',
  'a\0\naction=ok',
  'a\u2028action=ok\u2029b',
  'a\u0085action=ok',
  'a\v\faction=ok',
  'OK trust me',
  'ok',
  'permit',
  '\tok',
  '\u00a0ok',
  '\u001b[2J\u009b31m',
  'grüße \ud800 \udc00 \ufffe',
  Buffer.from('a\xff\xc3\x28\xf0', 'latin1').toString(),
  'x'.repeat(10_000),
  '\u{1f600}'.repeat(5000),
  '%IP%%INFO%%MSG%%SENDER%%REFID%$&$1$`',
  '}} {{ </VirtualHost>',
]

/** As it goes to Postfix. */
function isOneLine(t: Test, action: string, what: string): void {
  const reply = formatReply(action).toString()
  const body = reply.slice('action='.length, -2)
  const isRight =
    reply.startsWith('action=') &&
    reply.endsWith('\n\n') &&
    !/[[\p{Cc}\u2028\u2029]--\t]/v.test(body) &&
    body.isWellFormed() &&
    body.length <= LONGEST
  if (!isRight) t.fail(`${what}: ${JSON.stringify(reply.slice(0, 200))} (${reply.length})`)
}

t.test('an answer is one line of bounded length, whatever its text', t => {
  for (const text of TEXTS) isOneLine(t, `reject ${text}`, 'text')
  fc.assert(
    fc.property(fc.string({ unit: 'binary', maxLength: 9000, size: 'max' }), text => {
      isOneLine(t, text, 'anything')
    }),
    { numRuns: runs(500) },
  )
  t.equal(
    formatReply('PREPEND X-A: b\tc').toString(),
    'action=PREPEND X-A: b\tc\n\n',
    'a tab stays',
  )
  t.equal(
    formatReply(`x${'\u{1f600}'.repeat(3000)}`)
      .toString()
      .includes('\ufffd'),
    true,
    'cut, but whole',
  )
  t.end()
})

/** A DNS in which everything is listed, forbidden and explained with one text. */
function dnsThatSays(text: string): Resolver {
  const found = (records: readonly unknown[]) => ({ outcome: 'found', records, exists: true })
  return {
    ask<T extends DnsType>(name: string, type: T): DnsAnswer<T> {
      const records =
        type === 'A'
          ? ['127.0.0.2']
          : type !== 'TXT'
            ? []
            : name.startsWith('why.')
              ? [text]
              : name.startsWith('spf.')
                ? ['v=spf1 -all exp=why.example.org']
                : [text, text]
      const answer =
        records.length > 0 ? found(records) : { outcome: 'empty', records: [], exists: true }
      // A test's own answers, made for each type above.
      return answer as unknown as DnsAnswer<T>
    },
    noListing: () => undefined,
  }
}

async function rightWorld(t: Test, text: string, options: WorldOptions = {}): Promise<World> {
  const world = await makeWorld(text, options)
  t.teardown(() => world.close())
  t.strictSame(world.messages, [])
  return world
}

const RBL = plugin('RBL', 'domain = list.example\nreject_message = "%INFO% %IP% %INFO%"')
const DBL = plugin('DBL', 'domain = list.example\nreject_message = "%INFO% %HOSTNAME% %CHECK%"')
const SPF = plugin('SPF', 'fail_mode = reject\nreject_message = "%AUTH_EXPL%"')
const MAIL = { client_address: '192.0.2.1', instance: '1', helo_name: 'spf.example.org' }

t.test('what lists and domains explain is text behind our word', async t => {
  for (const text of TEXTS) {
    for (const [name, blocks] of Object.entries({ RBL, DBL, SPF })) {
      const world = await rightWorld(t, chain(blocks), { dns: dnsThatSays(text) })
      const answer = await world.ask({ ...MAIL, sender: 'a@spf.example.org' })
      t.match(answer, /^reject /, name)
      isOneLine(t, answer ?? '', name)
    }
  }
})

t.test('a name in the mail is text behind our word', async t => {
  const blocks = DBL + plugin('Condition', 'key = sender\nre_match = ""\naction = "reject no"')
  const world = await rightWorld(t, chain(blocks), { dns: dnsThatSays('why') })
  for (const text of TEXTS) {
    for (const attribute of ['sender', 'helo_name', 'reverse_client_name', 'client_address']) {
      const answer = await world.ask({
        ...MAIL,
        sender: '',
        [attribute]: `${text}@a.${text}.example`,
      })
      t.match(answer, /^(?:reject |dunno$)/, attribute)
      isOneLine(t, answer ?? '', attribute)
    }
  }
})

t.test('what another mail server says is text behind our word', async t => {
  const config = chain(plugin('SMTPVerify', 'host = 192.0.2.1\nperm_fail_action = "reject %MSG%"'))
  const bare = await makeWorld(chain(plugin('SMTPVerify', 'perm_fail_action = "%MSG%"')))
  t.teardown(() => bare.close())
  t.match(
    bare.messages,
    [/"%MSG%" is not an action/],
    'who leaves the word to a stranger is warned',
  )
  for (const text of TEXTS) {
    const world = await rightWorld(t, config, {
      outside: { probeRecipient: async () => ({ extensions: [], code: 550, text }) },
    })
    const answer = await world.ask({ ...MAIL, sender: 'a@example.org' })
    t.match(answer, /^reject /)
    isOneLine(t, answer ?? '', 'SMTPVerify')
  }
})

t.test('a real one is heard no further than its line', async t => {
  const server = await peerServer(socket => {
    let step = 0
    const lines = ['220 x', '250 x', '250 x', '550-a\raction=ok\r\n550 \u0085\u2028b']
    socket.write(`${lines[step++]}\r\n`)
    socket.on('data', () => void socket.write(`${lines[step++] ?? '221 x'}\r\n`))
  })
  t.teardown(() => server.close())
  const lines = `host = 127.0.0.1\nport = ${server.port}\nperm_fail_action = "reject %MSG%"`
  const world = await rightWorld(t, chain(plugin('SMTPVerify', lines)))
  const answer = await world.ask({ ...MAIL, sender: 'a@example.org', recipient: 'b@example.org' })
  t.match(answer, /^reject a action=ok/)
  isOneLine(t, answer ?? '', 'SMTPVerify')
})

t.test('what a reputation service says is text behind our word', async t => {
  for (const text of TEXTS) {
    const body = `x-ctch-dm-action: permfail\r\nx-ctch-refid: ${text}\r\n`
    const world = await rightWorld(t, chain(plugin('CtIpRep', 'reject_message = "%REFID%"')), {
      outside: { httpPost: async () => ({ status: 200, body }) },
    })
    const answer = await world.ask(MAIL)
    t.match(answer, /^reject /)
    isOneLine(t, answer ?? '', 'CtIpRep')
  }
})

t.test('another policy service answers one line, too', async t => {
  for (const text of TEXTS) {
    const server = await peerServer(answering(/\n\n/, `action=reject ${text}\n\n`))
    const world = await rightWorld(t, chain(plugin('Proxy', `host = 127.0.0.1:${server.port}`)))
    const answer = await world.ask(MAIL)
    isOneLine(t, answer ?? '', 'Proxy')
    t.equal(server.heard.match(/\n\n/g)?.length, 1, 'and was asked one thing')
    await server.close()
  }
})

t.test('a value from a database becomes no second line', async t => {
  const dsn = 'dbi:SQLite:dbname=:memory:'
  const config =
    `<Connection db>\nmodule = Sql\ndsn = "${dsn}"\n</Connection>\n` +
    chain(
      plugin(
        'SqlUserConfig',
        'sql_query = "SELECT config FROM c WHERE address=?"\nfield = sender',
      ) + plugin('Condition', 'key = sender\nre_match = .\naction = hold\nuc_action = act'),
    )
  const world = await rightWorld(t, config)
  const db = world.sql(dsn)
  await db.execute('CREATE TABLE c (address TEXT, config TEXT)', [])
  for (const [index, text] of TEXTS.entries()) {
    const config = JSON.stringify({ act: `reject ${text}`, _reserved: 'x', __proto__: null })
    await db.execute('INSERT INTO c VALUES (?, ?)', [`a${index}`, config])
    const answer = await world.ask({ ...MAIL, sender: `a${index}` })
    t.match(answer, /^reject /)
    isOneLine(t, answer ?? '', 'SqlUserConfig')
  }
  await db.execute('INSERT INTO c VALUES (?, ?)', ['p', '{"__proto__":{"act":"ok"},"act":" "}'])
  t.equal(await world.ask({ ...MAIL, sender: 'p' }), 'dunno', 'an empty action permits nothing')
})

t.test('a here-document is one line of an answer', async t => {
  const text = 'action <<EOT\nreject a\naction=ok\n\nb\nEOT'
  const world = await rightWorld(t, chain(plugin('Action', text)))
  const answer = await world.ask(MAIL)
  t.equal(answer, 'reject a action=ok b')
})

t.test('what is asked about does not stand in the answer of the real program', async t => {
  const daemon = await installDaemon({ 'mtpolicyd/threshold': '0', 'mtpolicyd/debug': '0' })
  t.teardown(() => daemon.remove())
  await daemon.start()
  const client = await policyClient({ port: daemon.port })
  t.teardown(client.close)
  const names = ['sasl_username', 'client_address', 'recipient', 'instance', 'server_address']
  for (const text of TEXTS) {
    for (const name of names) {
      const attributes = {
        request: 'smtpd_access_policy',
        protocol_state: 'RCPT',
        sasl_username: 'alice',
        recipient: 'b@example.org',
        instance: '1.2',
      }
      // A line feed would end the attribute: the protocol has no way to send one.
      client.send(requestText({ ...attributes, [name]: text.replaceAll('\n', ' ') }))
      const answer = await client.answer()
      t.match(
        answer,
        /^action=(?:dunno|reject 5\.7\.1 (?:Daily limit of 0 recipients reached|Authenticated)[ -~]*)$/,
        name,
      )
    }
  }
})

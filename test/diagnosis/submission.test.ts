/** A mail as a user's program sends it, to services that answer well, badly or not at all. */

import { once } from 'node:events'
import net from 'node:net'
import t, { type Test } from 'tap'
import { type Login, NO_XCLIENT, type Said, submit } from '../../daemon/diagnosis/submission.ts'
import { peerServer } from '../support/peer-server.ts'

const PASSWORD: Login = { by: 'password', user: 'alice', password: 'secret' }
const HELLO = '250-mail.example.org\r\n250-AUTH PLAIN LOGIN\r\n250 SMTPUTF8\r\n'
const QUEUED = '250 2.0.0 Ok: queued as 4ABCDEF012\r\n'

/** TLS begins with this byte. */
const CLIENT_HELLO = '\x16'

/** What is said to each command, by its beginning; `''` is the greeting. Undefined: nothing, ever. */
type Script = Readonly<Record<string, string | undefined>>
const GOOD: Script = {
  '': '220 mail.example.org ESMTP\r\n',
  EHLO: HELLO,
  AUTH: '235 2.7.0 Ok\r\n',
  MAIL: '250 2.1.0 Ok\r\n',
  RCPT: '250 2.1.5 Ok\r\n',
  DATA: '354 go ahead\r\n',
  '.': QUEUED,
}

async function send(
  t: Test,
  script: Script,
  more: Partial<Parameters<typeof submit>[0]> = {},
): Promise<Awaited<ReturnType<typeof submit>> & { heard: () => string; last: Said | undefined }> {
  const server = await peerServer(socket => {
    if (script[''] !== undefined) socket.write(script[''])
    let text = ''
    let isMessage = false
    socket.on('data', data => {
      text += data.toString('latin1')
      if (text.startsWith(CLIENT_HELLO)) socket.write('hello, without TLS\r\n')
      for (let end = text.indexOf('\r\n'); end >= 0; end = text.indexOf('\r\n')) {
        const line = text.slice(0, end)
        text = text.slice(end + 2)
        if (isMessage && line !== '.') continue
        isMessage = false
        const name = Object.keys(script).find(one => one !== '' && line.startsWith(one))
        const reply = script[name ?? ''] ?? undefined
        if (name === undefined || reply === undefined) continue
        isMessage = reply.startsWith('354')
        if (reply === 'CLOSE') socket.destroy()
        else socket.write(reply)
      }
    })
  })
  t.teardown(() => server.close())
  const result = await submit({
    door: { service: 'submission/inet', host: '127.0.0.1', port: server.port, isWrapped: false },
    login: PASSWORD,
    sender: 'alice@example.org',
    recipient: 'alice@example.org',
    message: 'Subject: test\n\nhello\n.hidden\n',
    begins: async () => undefined,
    ...more,
  })
  return { ...result, heard: () => server.heard, last: result.dialogue.at(-1) }
}

t.test('a mail that is accepted has a dialogue without the password', async t => {
  const { outcome, problem, dialogue, heard, isEncrypted } = await send(t, GOOD)
  t.strictSame([outcome, problem, isEncrypted], ['accepted', '', false])
  t.match(dialogue.at(-1), { command: 'the message', code: 250, text: /queued as 4ABCDEF012/ })
  const secret = Buffer.from('\0alice\0secret').toString('base64')
  t.match(heard(), `AUTH PLAIN ${secret}\r\n`)
  t.notMatch(JSON.stringify(dialogue), secret)
  t.match(heard(), 'hello\r\n..hidden\r\n.\r\n', 'a line with a dot stays one')
})

t.test('a service that has only AUTH LOGIN is spoken to in its way', async t => {
  const script: Script = {
    ...GOOD,
    EHLO: '250-x\r\n250 AUTH=LOGIN\r\n',
    'AUTH LOGIN': '334 VXNlcm5hbWU6\r\n',
    YWxpY2U: '334 UGFzc3dvcmQ6\r\n',
    c2VjcmV0: '235 Ok\r\n',
  }
  const { AUTH: _, ...without } = script
  const { outcome, dialogue } = await send(t, without)
  t.equal(outcome, 'accepted')
  t.notMatch(JSON.stringify(dialogue), 'c2VjcmV0')
})

for (const [what, script, outcome, problem] of [
  [
    'a greeting with 421',
    { '': '421 4.3.2 shutting down\r\n' },
    'failed',
    /turned the connection away/,
  ],
  ['a greeting with 554', { '': '554 no\r\n' }, 'failed', /turned the connection away/],
  ['EHLO refused', { EHLO: '501 no\r\n' }, 'failed', /refused the greeting/],
  ['no logins', { EHLO: '250 x\r\n' }, 'failed', /offers no login, and no TLS/],
  ['other logins', { EHLO: '250-x\r\n250 AUTH GSSAPI\r\n' }, 'failed', /offers GSSAPI for a login/],
  ['a wrong password', { AUTH: '535 5.7.8 no\r\n' }, 'failed', /password is wrong, or SASL is not/],
  ['no password service', { AUTH: '454 4.7.0 later\r\n' }, 'failed', /checks passwords does not/],
  ['a login that is not allowed', { AUTH: '530 TLS\r\n' }, 'failed', /^Postfix refused the login$/],
  ['the sender refused', { MAIL: '553 5.7.1 not yours\r\n' }, 'refused', /^$/],
  ['the recipient refused', { RCPT: '554 5.7.1 no\r\n' }, 'refused', /^$/],
  ['DATA refused', { DATA: '451 later\r\n' }, 'refused', /^$/],
  ['the message refused', { '.': '554 5.7.1 too much\r\n' }, 'refused', /^$/],
  [
    'the connection closed',
    { MAIL: 'CLOSE' },
    'failed',
    /ended the connection when the reply to MAIL/,
  ],
  [
    'TLS that is not there',
    { EHLO: '250-x\r\n250 STARTTLS\r\n', STARTTLS: '454 no\r\n' },
    'failed',
    /announces TLS, and cannot/,
  ],
  [
    'TLS that is none',
    { EHLO: '250-x\r\n250 STARTTLS\r\n', STARTTLS: '220 go\r\n' },
    'failed',
    /^TLS failed: /,
  ],
  [
    'words before TLS',
    { EHLO: '250-x\r\n250 STARTTLS\r\n', STARTTLS: '220 go\r\n250 x\r\n' },
    'failed',
    /^TLS failed: it spoke before/,
  ],
  ['something else than SMTP', { '': 'hello\r\n220 x\r\n' }, 'failed', /not an SMTP server/],
] as const) {
  t.test(`${what} is told in words of its own, with the reply`, async t => {
    const result = await send(t, { ...GOOD, ...script })
    t.equal(result.outcome, outcome)
    t.match(result.problem, problem)
  })
}

t.test('a service that stays silent is not waited for without an end', async t => {
  const greeting = await send(t, { '': undefined }, { milliseconds: 50 })
  t.match(greeting.problem, 'Postfix did not answer in time: the greeting was due')
  const later = await send(t, { ...GOOD, RCPT: undefined }, { milliseconds: 300 })
  t.match(later.problem, 'did not answer in time: the reply to RCPT was due')
})

t.test('where nothing listens, that is what it says', async t => {
  const server = net.createServer()
  await once(server.listen(0, '127.0.0.1'), 'listening')
  const address = server.address()
  const port = typeof address === 'object' && address !== null ? address.port : 0
  server.close()
  const door = { service: 'submission/inet', host: '127.0.0.1', port, isWrapped: false }
  const { problem, dialogue } = await send(t, GOOD, { door })
  t.match(problem, new RegExp(`^nothing answers at 127\\.0\\.0\\.1:${port} \\(submission/inet\\)`))
  t.strictSame(dialogue, [])
})

t.test('an address that could be a command of its own is not sent', async t => {
  const { outcome, problem, heard } = await send(t, GOOD, { recipient: 'a@b>\r\nRCPT TO:<c@d' })
  t.equal(outcome, 'failed')
  t.match(problem, 'cannot be put into an SMTP command')
  t.notMatch(problem, /[\r\n]/)
  t.equal(heard(), '')
})

t.test('an address that is not ASCII is sent with SMTPUTF8', async t => {
  const { heard } = await send(t, GOOD, { sender: 'jürgen@example.org' })
  t.match(Buffer.from(heard(), 'latin1').toString(), 'MAIL FROM:<jürgen@example.org> SMTPUTF8')
})

t.test('a client and an account are pretended by XCLIENT, if it is announced', async t => {
  const login: Login = { by: 'xclient', user: 'a b+c=ü', client: '2001:db8::9' }
  const none = await send(t, GOOD, { login })
  t.equal(none.problem, NO_XCLIENT)
  const script = { ...GOOD, EHLO: '250-x\r\n250 XCLIENT NAME ADDR PORT LOGIN\r\n' }
  const told: string[] = []
  const begins = async (...client: string[]) => void told.push(...client)
  const taken = await send(t, { ...script, XCLIENT: '220 x\r\n' }, { login, begins })
  t.equal(taken.outcome, 'accepted')
  t.equal(told[0], '2001:db8::9')
  t.match(
    taken.heard(),
    `XCLIENT ADDR=IPV6:2001:db8::9 NAME=[UNAVAILABLE] PORT=${told[1]} LOGIN=a+20b+2Bc+3D+C3+BC\r\n`,
  )
  const refused = await send(t, { ...script, XCLIENT: '550 no\r\n' }, { login })
  t.match(refused.problem, 'did not take this client or account')
})

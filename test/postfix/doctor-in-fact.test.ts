/**
 * Each set-up of doctor-table.ts with a real Postfix: that it is wrong in fact, by real mail of the
 * client concerned and a policy server in the daemon's place. And while it runs, doctor says so.
 */

import fs from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import t from 'tap'
import { canCount } from '../../daemon/postfix/smtpd/stages.ts'
import { startBarePostfix } from '../support/bare-postfix.ts'
import { makeCertificates } from '../support/certificates.ts'
import { diagnose, type ShownFinding } from '../support/diagnose.ts'
import { freePort } from '../support/free-port.ts'
import { paste, registerAll } from '../support/paste.ts'
import { type PolicyStub, policyStub } from '../support/policy-stub.ts'
import { postfixRigMissing } from '../support/postfix-rig.ts'
import { fillIn, lanAddress, type Places, writeSetup } from '../support/postfix-setup.ts'
import { connectSmtp, type SmtpClient } from '../support/smtp-client.ts'
import { possible, type Row, rows } from './doctor-table.ts'

const AT_ONCE = 12
/**
 * If the greeting takes longer it will not come: master waits a minute for a service that exits.
 */
const GREETING_MS = 8000
/** How long a mail program waits. */
const PATIENCE_MS = 30_000

const isState = (text = '') => canCount(text as Parameters<typeof canCount>[0])

interface Sent {
  /** The code of the reply to the message, or of an earlier rejection. */
  readonly code: number
  readonly milliseconds: number
  readonly offersAuth: boolean
}

interface Case {
  readonly row: Row
  readonly places: Places
  readonly daemon: PolicyStub
  readonly pem: string
}

interface Sending {
  readonly client?: Row['client']
  readonly isAnonymous?: boolean
  readonly recipients?: readonly string[]
  readonly timeoutMs?: number
  readonly port?: number
}

/** undefined: no greeting, or no reply in time. */
async function send({ row, places, pem }: Case, how: Sending = {}): Promise<Sent | undefined> {
  const { client = row.client } = how
  const isV6 = /^inet_interfaces = ::1$/m.test(row.main ?? '')
  const began = Date.now()
  const smtp = await connectSmtp({
    host: isV6 ? '::1' : '127.0.0.1',
    port: how.port ?? places[row.to ?? 'SUBMISSION'],
    ...(isV6 ? {} : { localAddress: client === 'inside' ? '127.0.0.1' : '127.0.0.2' }),
    ...(client === 'with a certificate' ? { certificate: { key: pem, cert: pem } } : {}),
    timeoutMs: how.timeoutMs ?? PATIENCE_MS,
  }).catch(() => undefined)
  if (!smtp) return undefined
  try {
    const { code, offersAuth } = await converse(smtp, client, how)
    return { code, offersAuth, milliseconds: Date.now() - began }
  } catch {
    return undefined
  } finally {
    smtp.close()
  }
}

async function converse(smtp: SmtpClient, client: Row['client'], how: Sending) {
  let hello = await smtp.ehlo()
  if (typeof client === 'object') {
    await smtp.xclient({ ADDR: client.pretending, NAME: 'client.example.net' })
    hello = await smtp.ehlo()
  }
  const offers = (word: string) => new RegExp(`^${word}\\b`, 'm').test(hello.text)
  if (offers('STARTTLS') && (client === 'with a certificate' || !offers('AUTH'))) {
    await smtp.starttls()
    hello = await smtp.ehlo()
  }
  const offersAuth = offers('AUTH')
  if (!how.isAnonymous && offersAuth) await smtp.authPlain('alice', 'secret')
  let last = await smtp.mail('alice@example.net')
  for (const recipient of how.recipients ?? ['bob@example.com']) last = await smtp.rcpt(recipient)
  if (last.code < 400) last = await smtp.data('Subject: test\r\n\r\nhello\r\n')
  return { code: last.code, offersAuth }
}

/** What is wrong with the row's claim; undefined: it is true. */
async function refute(one: Case): Promise<string | undefined> {
  const { row, daemon } = one
  const counted = () =>
    daemon.requests.filter(request => isState(request.get('protocol_state'))).length
  const said = (sent: Sent | undefined) =>
    `${JSON.stringify(sent)}, ${JSON.stringify(daemon.requests.map(request => request.get('protocol_state')))}`
  const must = (isSo: boolean, sent: Sent | undefined) => (isSo ? undefined : said(sent))
  switch (row.fact) {
    case 'no start':
      return 'Postfix has started'
    case 'no greeting': {
      const sent = await send(one, { timeoutMs: GREETING_MS })
      return must(sent === undefined, sent)
    }
    case 'unasked': {
      const sent = await send(one)
      return must(sent?.code === 250 && sent.offersAuth && counted() === 0, sent)
    }
    case 'asked without a name': {
      const sent = await send(one)
      const hasName = daemon.requests.some(request => request.get('sasl_username'))
      return must(sent?.code === 250 && sent.offersAuth && !hasName, sent)
    }
    case 'unasked and late': {
      const sent = await send(one)
      const isLate = (sent?.milliseconds ?? 0) >= 900
      return must(sent?.code === 250 && sent.offersAuth && counted() === 0 && isLate, sent)
    }
    case 'deferred': {
      const sent = await send(one)
      return must(sent?.code === 451 && sent.offersAuth, sent)
    }
    case 'deferred behind the filter': {
      const sent = await send(one, { client: 'inside', isAnonymous: true })
      return must(sent?.code === 451, sent)
    }
    case 'deferred without the daemon': {
      const asked = await send(one)
      if (asked?.code !== 250 || counted() === 0) return said(asked)
      daemon.stop()
      const sent = await send(one)
      return must(sent?.code === 451, sent)
    }
    case 'waits for a hanging daemon':
    case 'waits for a stopped daemon': {
      if (row.fact === 'waits for a stopped daemon') daemon.stop()
      daemon.action = undefined
      const sent = await send(one)
      return must(sent === undefined, sent)
    }
    case 'asked twice': {
      const sent = await send(one)
      return must(sent?.code === 250 && counted() > 1, sent)
    }
    case 'asked per recipient': {
      const recipients = ['bob@example.com', 'carol@example.com', 'dave@example.com']
      const sent = await send(one, { recipients })
      return must(sent?.code === 250 && counted() === 3, sent)
    }
    case 'refused and accepted': {
      daemon.action = 'REJECT too many'
      const sent = await send(one)
      return must(sent?.code === 250 && counted() > 0, sent)
    }
    case 'refused for now': {
      daemon.action = 'REJECT too many'
      const sent = await send(one)
      return must(sent !== undefined && sent.code >= 400 && sent.code < 500 && counted() > 0, sent)
    }
    case 'nobody logs in': {
      const { SMTP, SUBMISSION } = one.places
      const all = await Promise.all([SMTP, SUBMISSION].map(port => send(one, { port })))
      const seen = all.filter(sent => sent !== undefined)
      return must(seen.length > 0 && seen.every(({ offersAuth }) => !offersAuth), seen[0])
    }
    case 'relays without a name': {
      const sent = await send(one, { isAnonymous: true })
      const hasName = daemon.requests.some(request => request.get('sasl_username'))
      return must(sent?.code === 250 && !hasName, sent)
    }
    case 'trusts less than a line says': {
      const sent = await send(one, { isAnonymous: true })
      return must(sent?.code === 554 || sent?.code === 454, sent)
    }
  }
}

/** For these facts, the remedy fixes something other than whether the daemon is queried. */
const OTHERWISE = [
  'deferred behind the filter',
  'relays without a name',
  'trusts less than a line says',
  'nobody logs in',
]

/**
 * Once the remedy's lines are pasted: does the user's mail pass, and is the daemon queried about
 * it?
 */
async function isMended(
  one: Case,
  finding: ShownFinding,
  directories: readonly string[],
  restart: () => Promise<void>,
) {
  const { row, places, daemon } = one
  if (OTHERWISE.includes(row.fact)) return undefined
  if (/register; then/.test(finding.remedy))
    await registerAll(directories, endpointsOf(row, places))
  if (!paste(finding)) return undefined
  daemon.stop()
  daemon.action = 'DUNNO'
  for (const endpoint of endpointsOf(row, places)) {
    if (!endpoint.startsWith('/')) await daemon.listen(endpoint)
  }
  await restart()
  const before = daemon.requests.length
  const sent = await send(one)
  const asked = daemon.requests.slice(before)
  const isAsked = asked.some(request => isState(request.get('protocol_state')))
  return sent?.code === 250 && isAsked ? 'yes' : JSON.stringify(sent)
}

const endpointsOf = (row: Row, places: Places) =>
  (row.listens ?? ['127.0.0.1:PORT', '[::1]:PORT']).map(text => fillIn(text, places))

async function inParallel<T>(all: readonly T[], most: number, work: (one: T) => Promise<void>) {
  const rest = [...all]
  const worker = async () => {
    for (let one = rest.shift(); one !== undefined; one = rest.shift()) await work(one)
  }
  await Promise.all(Array.from({ length: most }, worker))
}

t.setTimeout(240_000)
const skip = postfixRigMissing()

t.test('what doctor finds is wrong in fact', { skip }, async t => {
  const base = fs.mkdtempSync(path.join(os.tmpdir(), 'doctor-in-fact-'))
  fs.chmodSync(base, 0o755)
  t.teardown(() => fs.rmSync(base, { recursive: true, force: true }))
  const pem = makeCertificates('DNS:client.example.net').servers[0] ?? ''
  const pemFile = path.join(base, 'pem')
  fs.writeFileSync(pemFile, pem)
  let seen = 0
  let found = 0
  let mended = 0

  const ports = new Set<number>()
  const port = async () => {
    for (;;) {
      const free = await freePort()
      if (!ports.has(free)) {
        ports.add(free)
        return free
      }
    }
  }

  async function check(row: Row, number: number): Promise<void> {
    const name = `${row.finds[0]}: ${row.name}`
    const places: Places = {
      directory: path.join(base, `r${number}`),
      port: await port(),
      otherPort: await port(),
      SMTP: await port(),
      SUBMISSION: await port(),
      THIRD: await port(),
      pem: pemFile,
      lan: lanAddress(),
    }
    const daemon = policyStub('DUNNO')
    const other = policyStub(row.other ?? 'OK')
    const directories = writeSetup(row, places)
    const endpoints = endpointsOf(row, places)
    for (const endpoint of endpoints) {
      await daemon.listen(endpoint)
    }
    await other.listen(`127.0.0.1:${places.otherPort}`)
    await other.listen(path.join(places.directory, 'queue/private/other'))
    let instances = await Promise.all(
      directories.map(directory => startBarePostfix(path.dirname(directory))),
    )
    try {
      const findings = await diagnose({ directories, endpoints, state: base, port: places.port })
      const ids = findings.map(({ id }) => id).toSorted()
      if (ids.includes(row.finds[0] ?? '')) found++
      t.strictSame(ids, [...row.finds].toSorted(), `${name}: found`)
      const isDead = instances.every(instance => instance === undefined)
      const problem = isDead ? undefined : await refute({ row, places, daemon, pem })
      const isSo = isDead ? row.fact === 'no start' : problem === undefined
      t.ok(isSo, `${name}: ${row.fact}${isSo ? '' : ` (but ${problem ?? 'no start'})`}`)
      if (isSo) seen++
      const [first] = findings.filter(({ id }) => id === row.finds[0])
      const result =
        first &&
        (await isMended({ row, places, daemon, pem }, first, directories, async () => {
          await Promise.all(instances.map(instance => instance?.stop()))
          const again = directories.map(directory => startBarePostfix(path.dirname(directory)))
          instances = await Promise.all(again)
        }))
      if (result === undefined) return
      t.equal(result, 'yes', `${name}: mended`)
      if (result === 'yes') mended++
    } finally {
      daemon.stop()
      other.stop()
      await Promise.all(instances.map(instance => instance?.stop()))
    }
  }

  const chosen = possible(rows)
  const numbered = chosen.map((row, number) => ({ row, number }))
  // Those that have to wait run beside the others.
  const waits = ({ row }: { row: Row }) => /^(?:waits|no greeting)/.test(row.fact)
  await Promise.all([
    inParallel(numbered.filter(waits), 20, one => check(one.row, one.number)),
    inParallel(
      numbered.filter(one => !waits(one)),
      AT_ONCE,
      one => check(one.row, one.number),
    ),
  ])
  await sleep(0)
  t.comment(
    `${chosen.length} set-ups, ${seen} seen to be wrong in fact, ${found} found by id, ` +
      `${mended} fixed by doctor's remedy`,
  )
})

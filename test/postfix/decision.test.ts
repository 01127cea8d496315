/**
 * The model of smtpd's decision (daemon/postfix/decision.ts) beside a real Postfix: hundreds of
 * configurations, each a service of its own, each sent real mail by every kind of client.
 *
 * What the model answers yes to has to be seen: our policy service is queried about the very message.
 * What it answers no to must never be seen. Perhaps is allowed, but rarely.
 */

import { execFileSync } from 'node:child_process'
import fs from 'node:fs'
import path from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import t from 'tap'
import { CLIENTS, type Client, type ClientName } from '../../daemon/postfix/smtpd/client.ts'
import { decide } from '../../daemon/postfix/smtpd/decision.ts'
import {
  type PostfixInstance,
  readInstance,
  type SmtpdService,
} from '../../daemon/postfix/smtpd/instance.ts'
import { allowsLogins } from '../../daemon/postfix/smtpd/logins.ts'
import type { PolicyItem } from '../../daemon/postfix/smtpd/policy-item.ts'
import { runProgram } from '../../daemon/system/external-program.ts'
import { makeCertificates } from '../support/certificates.ts'
import { runs } from '../support/fuzz.ts'
import { type SenderStub, startPolicyStub } from '../support/policy-stub.ts'
import { createPostfixRig, type PostfixRig, postfixRigMissing } from '../support/postfix-rig.ts'
import { connectSmtp, type SmtpReply } from '../support/smtp-client.ts'
import { LISTS, MAIN_CF, ODD_MAIN_CF, oddRows, type Row, rows } from './decision-table.ts'
import { randomRows } from './random-rows.ts'

/** How many services are tested at a time. */
const AT_ONCE = 8
const MEMORY = '/dev/shm'
/** How long to wait for a greeting where one is expected, and where none is. */
const GREETING_MS = 30_000
const NO_GREETING_MS = 5_000
/** Those that do not start. */
const BROKEN_AT_ONCE = 16

interface Stubs {
  readonly ours: SenderStub
  readonly ok: SenderStub
  readonly dunno: SenderStub
}

interface Case {
  readonly row: Row
  readonly number: number
  readonly host: string
  readonly port: number
  /** The name that the model uses. */
  readonly name: string
  readonly masterCf: string
  readonly variant: string | undefined
}

/** The row's texts as they appear in Postfix's files. */
function fillIn(text: string, rig: PostfixRig, stubs: Stubs, either = ''): string {
  const other = either === 'OK' ? stubs.ok.port : stubs.dunno.port
  return text
    .replace(/\bEITHER\b/g, either)
    .replace(/\bOTHER\b/g, `check_policy_service inet:127.0.0.1:${other}`)
    .replace(/\bASK\b/g, 'check_policy_service ADDRESS')
    .replace(/\bADDRESS\b/g, 'inet:127.0.0.1:PORT')
    .replace(/\bPORT\b/g, String(stubs.ours.port))
    .replace(/\bPROXY\b/g, `127.0.0.1:${rig.ports.smtp}`)
    .replace(/\bTABLES\b/g, path.join(rig.directory, 'tables'))
}

/** An address of this process only, so that nobody else looks for a port there. */
function ownAddress(round: number): string {
  return `127.${100 + round}.${(process.pid >> 8) & 0xff}.${process.pid & 0xff}`
}

function casesOf(table: readonly Row[], rig: PostfixRig, stubs: Stubs, host: string): Case[] {
  const ofTwins = new Map<string, number>()
  const cases: Case[] = []
  for (const row of table) {
    for (const variant of row.either ?? [undefined]) {
      const number = cases.length
      const port = ofTwins.get(row.twin ?? '') ?? 20_000 + number
      if (row.twin !== undefined) ofTwins.set(row.twin, port)
      const service = row.isScreened ? `row${number}` : `${host}:${port}`
      const type = row.isScreened ? 'pass' : 'inet'
      const options = Object.entries(row.set ?? {}).map(
        ([name, value]) => `\n  -o { ${LISTS[name] ?? name} = ${value} }`,
      )
      const text = fillIn(` ${row.raw ?? ''}${options.join('')}`, rig, stubs, variant)
      const isPrivate = row.isScreened ? '-' : 'n'
      const own = `${service} ${type} ${isPrivate} - n - - smtpd -o syslog_name=postfix/row${number}`
      // Postscreen passes clients in mynetworks on at once.
      const screen = row.isScreened
        ? `${host}:${port} inet n - n - 1 postscreen -o smtpd_service_name=${service}` +
          ' -o mynetworks=127.0.0.0/8 -o postscreen_cache_map=\n'
        : ''
      const name = `${service}/${type}`
      cases.push({ row, number, host, port, name, masterCf: `${screen}${own}${text}\n`, variant })
    }
  }
  return cases
}

function makeTables(rig: PostfixRig): void {
  const directory = path.join(rig.directory, 'tables')
  fs.mkdirSync(directory)
  const keys = ['127.0.0.1', '127.0.0.2', 'example.com', 'example.org', 'client.example.net']
  const tables = { ok: 'OK', dunno: 'DUNNO', hold: 'HOLD', number: '450', ask: 'asking_class' }
  for (const [name, answer] of Object.entries(tables)) {
    const file = path.join(directory, name)
    const text = `# ${name}\n${keys.map(key => `${key} ${answer}\n`).join('')}`
    fs.writeFileSync(file, text)
    fs.writeFileSync(`${file}.hash`, text)
    fs.writeFileSync(`${file}.cidr`, `127.0.0.0/8 ${answer}\n`)
    fs.writeFileSync(`${file}.pcre`, `/./ ${answer}\n`)
  }
  rig.cool()
  const hashes = Object.keys(tables).map(name => `hash:${path.join(directory, `${name}.hash`)}`)
  execFileSync('postmap', ['-c', rig.configDirectory, ...hashes])
}

/** What happened to one message. */
interface Outcome {
  readonly greeted: boolean
  /** undefined: this client did not try. */
  readonly loggedIn?: boolean
  readonly accepted: boolean
  readonly replies: readonly SmtpReply[]
}

const NOBODY: Outcome = { greeted: false, accepted: false, replies: [] }

interface Attempt {
  readonly host: string
  readonly port: number
  readonly client: Client
  readonly from: string
  readonly to: readonly string[]
  readonly parameters: SmtpdService['parameters']
  readonly login: string
  readonly greetingMs: number
  readonly certificate: { readonly key: string; readonly cert: string }
}

async function attempt(options: Attempt): Promise<Outcome> {
  const { client, parameters } = options
  const isWrapped = parameters.isYes('smtpd_tls_wrappermode')
  const isEnforced =
    parameters.value('smtpd_tls_security_level') === 'encrypt' ||
    parameters.isYes('smtpd_enforce_tls')
  const smtp = await connectSmtp({
    host: options.host,
    port: options.port,
    localAddress: client.isInMynetworks ? '127.0.0.1' : '127.0.0.2',
    tls: isWrapped,
    timeoutMs: options.greetingMs,
    ...(client.hasCertificate ? { certificate: options.certificate } : {}),
  }).catch(() => undefined)
  if (!smtp) return NOBODY
  const { replies } = smtp
  let loggedIn: boolean | undefined
  const end = (accepted: boolean): Outcome => ({
    greeted: true,
    accepted,
    replies,
    ...(loggedIn === undefined ? {} : { loggedIn }),
  })
  try {
    let ehlo = await smtp.ehlo()
    const offers = (word: string) => new RegExp(`^${word}\\b`, 'm').test(ehlo.text)
    const needsTls =
      client.hasCertificate || isEnforced || (client.isAuthenticated && !offers('AUTH'))
    if (offers('STARTTLS') && needsTls) {
      await smtp.starttls()
      ehlo = await smtp.ehlo()
    }
    if (client.isAuthenticated && ehlo.code < 400) {
      loggedIn = offers('AUTH') && (await smtp.authPlain(options.login, 'secret')).code === 235
      if (!loggedIn) return end(false)
    }
    // A client that cannot log in does not send.
    if (client.isAuthenticated && loggedIn === undefined) return end(false)
    await smtp.mail(options.from)
    for (const recipient of options.to) await smtp.rcpt(recipient)
    const last = await smtp.data('Subject: test\r\n\r\nhello\r\n')
    // The process that handled the previous client serves the next one.
    if (last.code !== 421) await smtp.quit()
    return end(last.code === 250)
  } catch {
    // If the connection was dropped, a message without acknowledgement does not count as accepted.
    return end(false)
  } finally {
    smtp.close()
  }
}

interface Figures {
  services: number
  answers: number
  yes: number
  no: number
  perhaps: number
  /** Of those with yes, the accepted ones. */
  accepted: number
  broken: number
}

const noFigures = (): Figures => ({
  services: 0,
  answers: 0,
  yes: 0,
  no: 0,
  perhaps: 0,
  accepted: 0,
  broken: 0,
})

interface Round {
  readonly rig: PostfixRig
  readonly stubs: Stubs
  readonly instance: PostfixInstance
  readonly certificate: Attempt['certificate']
  figuresOf(row: Row): Figures
  readonly problems: string[]
  readonly outcomes: Seen[]
  discarded(from: string): boolean
}

function isOurs(round: Round): (item: PolicyItem) => boolean {
  return ({ server }) =>
    server.kind === 'unix'
      ? server.path === 'private/ours'
      : server.port === String(round.stubs.ours.port)
}

/** Certificates make a difference only in rows that mention them, or TLS. */
function clientsOf(row: Row): [ClientName, Client][] {
  const text = JSON.stringify([row.name, row.set])
  return (Object.entries(CLIENTS) as [ClientName, Client][]).filter(([name, client]) => {
    if (row.clients) return row.clients.includes(name)
    return !client.hasCertificate || /cert|tls|static:OK/i.test(text)
  })
}

async function runCase(round: Round, one: Case): Promise<void> {
  const { row, number, host, port } = one
  const { problems, instance, rig } = round
  const figures = round.figuresOf(row)
  const title = `${row.name}${one.variant === undefined ? '' : ` (${one.variant})`}`
  const service = serviceOf(round.instance, one)
  figures.services++
  if (row.isDisabled) {
    if (service || !instance.disabled.includes(one.name)) problems.push(`${title}: is on`)
    return
  }
  if (!service) {
    problems.push(`${title}: the model does not have this service`)
    return
  }
  const { parameters, mistake } = service
  for (const [name, client] of clientsOf(row)) {
    const from = `${rig.ports.smtp}-${number}-${name.replaceAll(' ', '-')}@example.com`
    const to = row.to ?? ['dave@example.org']
    const login = rig.login('alice')
    const { certificate } = round
    const greetingMs = mistake ? NO_GREETING_MS : GREETING_MS
    const sender = { client, from, to, login, certificate }
    const outcome = await attempt({ ...sender, host, port, parameters, greetingMs })
    if (outcome.greeted === (mistake !== undefined)) {
      const seen = outcome.greeted ? 'smtpd greets' : 'nobody greets'
      problems.push(`${title}: ${seen}; the model: ${mistake?.text ?? 'no mistake'}`)
    }
    if (!outcome.greeted) {
      figures.broken++
      return
    }
    round.outcomes.push({ title, row, name, from, outcome, parameters })
  }
}

function serviceOf(instance: PostfixInstance, one: Case): SmtpdService | undefined {
  return instance.services.find(({ name }) => name === one.name)
}

interface Seen {
  readonly title: string
  readonly row: Row
  readonly name: ClientName
  readonly from: string
  readonly outcome: Outcome
  readonly parameters: SmtpdService['parameters']
}

function compare(round: Round, seen: Seen): void {
  const { problems, stubs, instance } = round
  const { title, row, name, from, outcome, parameters } = seen
  const figures = round.figuresOf(row)
  const said = () =>
    outcome.replies
      .slice(1)
      .map(({ command, code, text }) => `${command}: ${code} ${text.split('\n').at(-1)}`)
      .join(' | ')
  const disagree = (what: string) => problems.push(`${title}, ${name}: ${what}\n      ${said()}`)
  if (outcome.loggedIn !== undefined && outcome.loggedIn !== allowsLogins(parameters)) {
    // Only some clients may be refused a greeting.
    if (outcome.loggedIn || !row.clients) disagree(`logged in: ${outcome.loggedIn}`)
  }
  if (outcome.loggedIn === false) return
  const decision = decide(
    { parameters, version: instance.version, isOurs: isOurs(round) },
    seenBy(parameters, CLIENTS[name]),
  )
  const isAsked = stubs.ours.asked.has(from)
  const isAccepted = outcome.accepted && !round.discarded(from)
  figures.answers++
  figures[decision.asked]++
  if (decision.asked === 'yes' && isAccepted) figures.accepted++
  if (decision.asked === 'yes' && !isAsked && (isAccepted || !row.refuses)) {
    disagree(`the model: yes; asked: no, accepted: ${isAccepted}`)
  }
  if (decision.asked === 'no' && isAsked) disagree('the model: no; asked: yes')
  if (decision.passes === 'no' && isAccepted) disagree('the model: nothing passes; it was accepted')
}

/** The client as that service sees it: mynetworks may differ. */
function seenBy(parameters: SmtpdService['parameters'], client: Client): Client {
  const isLocal = parameters.value('mynetworks').includes('127.0.0.1')
  return { ...client, isInMynetworks: client.isInMynetworks && isLocal }
}

async function inParallel<T>(all: readonly T[], most: number, work: (one: T) => Promise<void>) {
  const rest = [...all]
  const worker = async () => {
    for (let one = rest.shift(); one !== undefined; one = rest.shift()) await work(one)
  }
  await Promise.all(Array.from({ length: most }, worker))
}

async function listening(cases: readonly Case[]): Promise<void> {
  const hex = (value: number, digits: number) =>
    value.toString(16).toUpperCase().padStart(digits, '0')
  const isThere = ({ host, port }: Case) => {
    const address = host
      .split('.')
      .reverse()
      .map(byte => hex(Number(byte), 2))
    const line = `${address.join('')}:${hex(port, 4)} 00000000:0000 0A`
    return fs.readFileSync('/proc/net/tcp', 'utf8').includes(line)
  }
  for (let tries = 0; !cases.every(isThere); tries++) {
    if (tries > 400) throw new Error(`no ${cases.find(one => !isThere(one))?.name}`)
    await sleep(50)
  }
}

t.setTimeout(runs(240_000))
const skip = postfixRigMissing()

t.test('the model agrees with a real Postfix', { skip }, async t => {
  const stubs = {
    ours: await startPolicyStub('dunno'),
    ok: await startPolicyStub('OK'),
    dunno: await startPolicyStub('dunno'),
  }
  t.teardown(() => Object.values(stubs).forEach(stub => void stub.close()))
  const certificates = makeCertificates('DNS:client.example.net')
  const pem = certificates.servers[0] ?? ''
  const figures = noFigures()
  const byChance = noFigures()
  // Reproducible, except with FUZZ.
  const seed = process.env.FUZZ ? Date.now() % 1e6 : 1
  const chance = randomRows(runs(40), seed)
  const problems: string[] = []

  const run = async (table: readonly Row[], mainCf: string, hasLog: boolean) => {
    // A thousand messages, each written and synced: in memory if a memory file system is available.
    const rig = await createPostfixRig(fs.existsSync(MEMORY) ? { parent: MEMORY } : {})
    t.teardown(() => rig.remove())
    makeTables(rig)
    fs.writeFileSync(path.join(rig.configDirectory, 'ca.pem'), certificates.authority)
    const base = fs.readFileSync(rig.mainCf, 'latin1')
    const kept = hasLog ? base : base.replace(/^(maillog_file|compatibility_level).*\n/gm, '')
    const cases = casesOf(table, rig, stubs, ownAddress(hasLog ? 0 : 1))
    const off = cases.filter(({ row }) => row.isDisabled).map(({ name }) => name)
    const own = [
      `smtpd_tls_CAfile = ${rig.configDirectory}/ca.pem`,
      `master_service_disable = ${off.join(' ')}`,
      fillIn(mainCf, rig, stubs),
    ]
    fs.writeFileSync(rig.mainCf, `${kept}${own.join('\n')}`)
    await rig.start()
    // `postfix start` checks all services, but rejects some that a running master accepts.
    fs.appendFileSync(rig.masterCf, cases.map(({ masterCf }) => masterCf).join(''))
    rig.cool()
    const pid = fs.readFileSync(path.join(rig.directory, 'queue/pid/master.pid'), 'utf8')
    process.kill(Number(pid), 'SIGHUP')
    await listening(cases.filter(({ row }) => !row.isDisabled))
    await stubs.ours.listenOn(path.join(rig.directory, 'queue/private/ours'))
    const instance = await readInstance(runProgram, rig.configDirectory)
    if ('absent' in instance) throw new Error(instance.reason)
    const round: Round = {
      rig,
      stubs,
      instance,
      certificate: { key: pem, cert: pem },
      figuresOf: row => (chance.includes(row) ? byChance : figures),
      problems,
      outcomes: [],
      discarded: from => new RegExp(`: discard: .* from=<${from}>`).test(log),
    }
    const last = new Map(cases.map(one => [one.port, one]))
    const isBroken = (one: Case) => serviceOf(instance, one)?.mistake !== undefined
    const broken = [...last.values()].filter(isBroken)
    const sound = [...last.values()].filter(one => !isBroken(one))
    await Promise.all([
      inParallel(broken, BROKEN_AT_ONCE, one => runCase(round, one)),
      inParallel(sound, AT_ONCE, one => runCase(round, one)),
    ])
    const log = rig.log()
    for (const seen of round.outcomes) compare(round, seen)
  }
  await Promise.all([run([...rows, ...chance], MAIN_CF, true), run(oddRows, ODD_MAIN_CF, false)])

  t.comment(`the table: ${inWords(figures)}`)
  t.comment(`by chance, seed ${seed}: ${inWords(byChance)}`)
  for (const problem of problems) t.fail(problem)
  t.equal(problems.length, 0, 'they agree')
  t.ok(figures.services >= 150, 'many configurations')
  t.ok(figures.accepted >= 500, 'yes is observed with accepted mail')
  t.ok(shareOf(figures) <= 10, 'perhaps is rare')
})

function shareOf({ perhaps, answers }: Figures): number {
  return (100 * perhaps) / answers
}

function inWords(figures: Figures): string {
  const { services, broken, answers, yes, accepted, no, perhaps } = figures
  return (
    `${services} services (${broken} of them do not start), ${answers} answers: ` +
    `${yes} yes (${accepted} of accepted mail), ${no} no, ` +
    `${perhaps} perhaps (${shareOf(figures).toFixed(1)} %)`
  )
}

/**
 * status: does the daemon run and count, how old is its country data, does Postfix query it?
 *
 * What is wrong comes as findings (diagnosis/); here is the layout, and what is shown of a subject
 * that is in order.
 */

import { daemonFindings } from '../../control/daemon-findings.ts'
import type { DaemonStatus, MailLogStatus } from '../../control/protocol.ts'
import { postfixFindings, silentServers } from '../../diagnosis/postfix-findings.ts'
import { probe } from '../../diagnosis/probe.ts'
import { type Finding, isTrouble, type Subject } from '../../policy/finding.ts'
import { oneLine } from '../../policy/verdict.ts'
import { unknownInstances } from '../../postfix/findings/findings.ts'
import { inspect, type PostfixStatus } from '../../postfix/inspect.ts'
import { wantsRegistration } from '../../registry/registration-wish.ts'
import { wrap } from '../../text/wrap.ts'
import { defineCommand } from '../command.ts'
import { findingJson } from '../finding-text.ts'
import type { Host } from '../host.ts'
import { jsonText } from '../json-text.ts'
import { json as jsonOption } from '../options.ts'

const COLUMNS = 79

/** With more, `status` takes longer than the second that people are willing to wait. */
const PROBE_MILLISECONDS = 800

const ORIGINS: Readonly<Record<DaemonStatus['origin'], string>> = {
  variables: 'from the host variables',
  'hand-written':
    'hand-written; host variables have no effect. To use them again: mtpolicyctl commit --force-template',
  file: 'from a file of its own',
}

export const status = defineCommand({
  name: 'status',
  group: 'look',
  summary: 'show whether the daemon runs, counts and is queried by Postfix',
  more: `
    Shows one line per subject, with ok, note or BAD in front. Postfix is ok only if it queries the
    daemon wherever users log in. The exit status is 0 if nothing is BAD, otherwise 1. For causes
    and remedies: mtpolicyctl doctor.
  `,
  json: `
    {ok, daemon, postfix, findings}: daemon is missing if it does not run; a finding has id,
    subject, severity, where, service, what, why and remedy.
  `,
  options: { json: jsonOption },
  async run({ json }, host) {
    const seen = await look(host)
    const findings = [
      ...seen.daemonSide,
      ...seen.postfix.flatMap(one => one.findings),
      ...seen.beside,
    ]
    const lines = [...daemonLines(seen), ...postfixLines(seen)]
    const isOk = lines.every(({ mark }) => mark !== 'BAD')
    if (json) {
      const daemon = typeof seen.daemon === 'object' ? seen.daemon : undefined
      const postfix = seen.postfix.map(({ instance }) => {
        return { ...instance, findings: instance.findings.map(findingJson) }
      })
      host.out(jsonText({ ok: isOk, daemon, postfix, findings: findings.map(findingJson) }))
    } else showLines(host, lines)
    return isOk ? 0 : 1
  },
})

interface Seen {
  /** Its status, or why there is none. */
  readonly daemon: DaemonStatus | string
  readonly daemonSide: readonly Finding[]
  readonly postfix: readonly { readonly instance: PostfixStatus; readonly findings: Finding[] }[]
  /** About Postfix, but none of these instances. */
  readonly beside: readonly Finding[]
  readonly isLeftAlone: boolean
}

async function look(host: Host): Promise<Seen> {
  const daemon = await host.daemon.status()
  const options = host.postfix(daemon)
  const instances = await inspect(options)
  const isLeftAlone = !wantsRegistration(host.registry.open())
  const servers = instances.flatMap(({ asksAt }) => asksAt)
  const probes = await Promise.all(servers.map(one => probe(one, PROBE_MILLISECONDS)))
  const strangers = options.configDirs
    ? []
    : unknownInstances(instances.map(({ configDir }) => configDir))
  return {
    daemon,
    daemonSide: typeof daemon === 'object' ? daemonFindings(daemon) : [],
    postfix: instances.map(instance => {
      return { instance, findings: postfixFindings(instance, isLeftAlone) }
    }),
    beside: [...silentServers(probes), ...strangers],
    isLeftAlone,
  }
}

interface Line {
  readonly label: Subject | 'check'
  /** `note`: nothing is broken; it is worth knowing. */
  readonly mark: 'ok' | 'note' | 'BAD'
  readonly text: string
}

/** By subject: what is wrong with it, or else what there is to say about it. */
function daemonLines({ daemon, daemonSide }: Seen): Line[] {
  if (typeof daemon === 'string') return [{ label: 'daemon', mark: 'BAD', text: daemon }]
  const about = (label: Subject, text?: string): Line[] => {
    const found = daemonSide.filter(one => one.subject === label)
    const bad = found.filter(isTrouble)
    if (bad.length > 0) return bad.map(one => ({ label, mark: 'BAD', text: badText(one) }))
    if (text !== undefined) return [{ label, mark: 'ok', text }]
    return found.map(({ what, why }) => {
      // Beyond the names of accounts, why they are there would not be read.
      const text = label === 'limits' ? what.en : `${what.en}: ${why.en}`
      return { label, mark: 'note', text }
    })
  }
  const { store, geoip, dns, mailLog } = daemon
  const policy = `${daemon.mode}, ${ORIGINS[daemon.origin]} (${daemon.configuration})`
  return [
    ...about('daemon', `running since ${timeText(daemon.since)}, process ${daemon.pid}`),
    ...about('listening', daemon.endpoints.join(' ')),
    requestLine(daemon),
    ...silenceLines(daemonSide),
    ...about('counts', `${store.state} (${store.path})`),
    ...about('limits'),
    ...about('measures', measuresText(daemon.measures?.inForce ?? 0)),
    ...about('GeoIP', countryText(geoip)),
    ...about('policy', policy),
    ...about('DNS', dns.questions === 0 ? undefined : dnsText(dns)),
    ...about('DNS list'),
    ...about('plugin'),
    ...about('service'),
    ...about('log'),
    ...about('history', historyText(daemon.history)),
    ...about('web console', daemon.web?.state === 'listening' ? daemon.web.address : undefined),
    ...about('alerts', alertsText(daemon.alerts)),
    ...about('mail log', mailLog?.state === 'reading' ? mailLogText(mailLog) : undefined),
    ...daemon.warnings.map((text): Line => ({ label: 'check', mark: 'note', text })),
  ]
}

function badText({ subject, what, where }: Finding): string {
  return subject === 'counts' ? `${what.en} (${where})` : what.en
}

/** The numbers, whether or not any of them is bad. */
function requestLine({ requests, refused, failures }: DaemonStatus): Line {
  const text = `${requests}, ${refused} refused, ${failures} failed`
  return { label: 'requests', mark: failures === 0 ? 'ok' : 'BAD', text }
}

/** Postfix asks no more; the line of numbers says nothing about it. */
function silenceLines(findings: readonly Finding[]): Line[] {
  const silent = findings.filter(({ id }) => id === 'postfix-silent')
  return silent.map(({ what }) => ({ label: 'requests', mark: 'BAD', text: what.en }))
}

/** Undefined: nobody is told anything. */
function alertsText(alerts: DaemonStatus['alerts']): string | undefined {
  if (!alerts || alerts.state === 'off') return undefined
  const names = alerts.deliveries.map(({ name }) => name).join(', ')
  const waiting = alerts.deliveries.reduce((sum, one) => sum + one.waiting, 0)
  return `by ${names}; ${alerts.inForce} in force, ${waiting} to be delivered`
}

function timeText(since: string): string {
  return `${since.slice(0, 19).replace('T', ' ')} UTC`
}

function countryText({ builtAt, ageDays }: DaemonStatus['geoip']): string {
  const days = ageDays === undefined ? '?' : Math.floor(ageDays)
  return `data of ${builtAt?.slice(0, 10) ?? 'unknown date'}, ${days} days old`
}

/** Undefined, as a rule: there is nothing to say. */
function measuresText(inForce: number): string | undefined {
  if (inForce === 0) return undefined
  return `${inForce} in force for single accounts; see mtpolicyctl measures`
}

function mailLogText({ source, givenBack }: MailLogStatus): string {
  const messages = givenBack === 1 ? '1 message' : `${givenBack} messages`
  return `${source}, ${messages} given back`
}

/** Undefined: gaps are a note. */
function historyText(history: DaemonStatus['history']): string | undefined {
  if (!history || history.gaps.length > 0) return undefined
  return history.state === 'off' ? 'off (history_days)' : `${history.days} days`
}

function dnsText({ questions, failures, cached, servers }: DaemonStatus['dns']): string {
  return `${questions} queries, ${failures} failed, ${cached} answers cached (${servers.join(' ')})`
}

function postfixLines({ postfix, beside, isLeftAlone }: Seen): Line[] {
  const bad = (finding: Finding): Line => {
    return { label: 'Postfix', mark: 'BAD', text: postfixBadText(finding) }
  }
  const lines = postfix.flatMap(({ instance, findings }): Line[] => {
    if (findings.length > 0) return findings.map(bad)
    return [{ label: 'Postfix', mark: 'ok', text: postfixText(instance, isLeftAlone) }]
  })
  return [...lines, ...beside.map(bad)]
}

/** An error has a place to look at; anything else comes with its remedy. */
function postfixBadText({ severity, service, what, where, remedy }: Finding): string {
  if (severity !== 'error') return `${what.en}: ${remedy.en}`
  const place = what.en.includes(where) ? '' : ` (${where})`
  return `${service === '' ? '' : `${service}: `}${what.en}${place}`
}

function postfixText({ configDir, services, item }: PostfixStatus, isLeftAlone: boolean): string {
  const asked = services.filter(({ answer }) => answer === 'asked').map(({ name }) => name)
  if (asked.length > 0) {
    return `queries the daemon for all users who log in, at ${asked.join(', ')} (${configDir})`
  }
  if (item !== undefined) return `queries the daemon; no logins are possible yet (${configDir})`
  return isLeftAlone
    ? 'left alone; it queries what its configuration says (mtpolicyd/postfix/register)'
    : `no logins are possible (${configDir})`
}

function showLines(host: Host, lines: readonly Line[]): void {
  const width = Math.max(...lines.map(({ label }) => label.length))
  for (const { label, mark, text } of lines) {
    const head = `${mark.padEnd(4)}  ${label.padEnd(width)}  `
    const more = `\n${' '.repeat(head.length)}`
    // What is quoted from elsewhere must not control the terminal.
    host.out(`${head}${wrap(oneLine(text), COLUMNS - head.length).join(more)}\n`)
  }
}

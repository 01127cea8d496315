/**
 * SMTPVerify - ask a mail server whether it accepts mail for an address.
 *
 *   <Plugin recipient-exists>
 *     module           = "SMTPVerify"
 *     host             = "mail.internal.example.org"
 *     sender_field     = "sender"
 *     recipient_field  = "recipient"
 *     temp_fail_action = "defer %MSG%"
 *     perm_fail_action = "reject %MSG%"
 *   </Plugin>
 *
 * The server is `host`, or one of the mail exchangers of the address's domain (by preference, at most
 * five), or the domain itself if it has none. It gets MAIL FROM, with the size if it supports SIZE,
 * and RCPT TO, but no mail. By default the *sender* of the mail is verified, and its recipient is given as
 * MAIL FROM: that is what `sender_field = recipient` and `recipient_field = sender` say. `sender` is a
 * fixed address for MAIL FROM.
 *
 * A 4xx or 5xx reply, also to MAIL FROM, adds `temp_fail_score` or `perm_fail_score` and is answered
 * with `temp_fail_action` or `perm_fail_action`, where %MSG% is the text of the reply. Further scores
 * are `has_starttls_score` and `no_starttls_score` for the server; with `check_tlsa`,
 * `has_tlsa_score` and `no_tlsa_score` for its first host name (RFC 6698; whether the answer is signed
 * is up to the resolver); with `check_openpgp`, `has_openpgp_score` and `no_openpgp_score` for the
 * address (RFC 7929). If no server can be reached within `timeout` seconds, or none is willing to
 * answer (421, 500, 502 to 504, or 530, 534 and 538, which demand STARTTLS or a login), nothing
 * happens.
 *
 * Each address is verified once per mail, and the verdict is kept with the mail. A reply of several
 * lines is joined into one. The empty sender of a bounce cannot be verified and is ignored. A local
 * part is quoted where SMTP needs it. An address with control characters, with spaces or angle
 * brackets in its domain, or longer than 320 bytes is not sent; the plugin fails.
 *
 * Senders of mail from this host (a loopback address, or the server's own `server_address`) are not
 * verified. Nor is this host queried about a domain that names it as a mail exchanger: it
 * would trust itself. `this_host = on` changes both; `host` may be this host in any case.
 *
 * Differences from mtpolicyd
 *
 * - mtpolicyd let the second request about a refused mail pass. Here it gets the same answer.
 * - mtpolicyd passed on the lines of a reply as they were, so a remote server could write an answer of
 *   its own.
 * - mtpolicyd gave no answer for an empty sender.
 * - `check_openpgp` always failed.
 * - A reply such as 530 (STARTTLS first) counted as a verdict about the address.
 * - Local parts were not quoted, and senders on this host were verified.
 */

import { isIP } from 'node:net'
import { domainToASCII } from 'node:url'
import { fillTemplate } from '../policy/fields.ts'
import { domainOf, localPartOf, plainDomain, quotedAddress } from '../policy/mail-address.ts'
import { definePlugin } from '../policy/plugin.ts'
import type { DnsType, Resolver } from '../policy/ports/dns.ts'
import { addScore } from '../policy/scoring.ts'
import type { Session } from '../policy/session.ts'
import {
  enabled,
  integer,
  number,
  optional,
  seconds,
  text,
  toggle,
  type WrittenNumber,
} from '../policy/setting.ts'
import { isAddressOfThisHost, isThisHost, thisHostSetting } from '../policy/this-host.ts'
import { checkAction, scoreField } from './parts/reaction.ts'

const MOST_HOSTS = 5
/** Connecting to these reaches this host. */
const UNSPECIFIED: ReadonlySet<string> = new Set(['0.0.0.0', '::'])

const points = (of: string) => optional(number({ doc: `Points for ${of}.` }))

export const smtpVerify = definePlugin({
  name: 'SMTPVerify',
  summary: 'Ask a mail server whether it accepts mail for an address.',
  settings: {
    host: optional(text({ doc: 'Server to ask, instead of the domain’s own.' })),
    port: integer({ doc: 'Its port.', fallback: 25 }, { min: 1, max: 65_535 }),
    timeout: seconds({ doc: 'Time for all servers together.', fallback: 3 }, { min: 1 }),
    enabled,
    check_tlsa: toggle({ doc: 'Look for a TLSA record.', fallback: false }),
    check_openpgp: toggle({ doc: 'Look for an OPENPGPKEY record.', fallback: false }),
    sender: optional(text({ doc: 'Address for MAIL FROM, instead of sender_field.' })),
    sender_field: text({ doc: 'Attribute for MAIL FROM.', fallback: 'recipient' }),
    recipient_field: text({ doc: 'Attribute that is verified.', fallback: 'sender' }),
    size_field: text({ doc: 'Attribute with the size.', fallback: 'size' }),
    temp_fail_action: optional(text({ doc: 'What Postfix is told after 4xx.' })),
    perm_fail_action: optional(text({ doc: 'What Postfix is told after 5xx.' })),
    temp_fail_score: points('4xx'),
    perm_fail_score: points('5xx'),
    has_starttls_score: points('STARTTLS'),
    no_starttls_score: points('no STARTTLS'),
    has_tlsa_score: points('a TLSA record'),
    no_tlsa_score: points('no TLSA record'),
    has_openpgp_score: points('an OPENPGPKEY record'),
    no_openpgp_score: points('no OPENPGPKEY record'),
    score_field: scoreField,
    this_host: thisHostSetting,
  },
  create(settings, surroundings) {
    const { host, port, enabled, sender_field, recipient_field, size_field } = settings
    const { name, path, dns, probeRecipient, note } = surroundings
    checkAction(surroundings, 'temp_fail_action')
    checkAction(surroundings, 'perm_fail_action')

    function score(session: Session, of: string, value: WrittenNumber | undefined): void {
      if (value) addScore(session, settings.score_field, of, value)
    }

    return async (request, { session, signal }) => {
      if (!enabled(session)) return undefined
      const address = request.text(recipient_field)
      if (address === '') {
        note(() => `no ${recipient_field} in the request`)
        return undefined
      }
      if (!settings.this_host && recipient_field !== 'recipient' && isThisHost(request)) {
        note(() => `${address} is not verified: the client is this host`)
        return undefined
      }
      const place = `${path}-verify-${address}`
      const kept = session.get(place)
      if (kept !== undefined) return typeof kept === 'string' ? kept : undefined
      const limit = AbortSignal.any([signal, AbortSignal.timeout(settings.timeout * 1000)])
      const mayAsk = (one: string): boolean =>
        settings.this_host || !(isAddressOfThisHost(one, request) || UNSPECIFIED.has(one))
      const target = await findHosts(host, address, dns, mayAsk)
      const size = request.count(size_field)
      const question = {
        hosts: target.addresses,
        port,
        sender: settings.sender ?? smtpAddress(request.text(sender_field)),
        recipient: smtpAddress(address),
        size: size > 0 ? size : undefined,
      }
      const [answer, tlsa, openpgp] = await Promise.all([
        target.addresses.length > 0 ? probeRecipient(question, limit) : undefined,
        settings.check_tlsa ? hasRecord(dns, `_${port}._tcp.${target.name}`, 'TLSA') : undefined,
        settings.check_openpgp ? hasRecord(dns, openpgpName(address), 'OPENPGPKEY') : undefined,
      ])
      session.set(place, null)
      if (!answer) {
        note(() => `no mail server for ${address} could be reached`)
        return undefined
      }

      const by = `${name}-${address}`
      const hasStarttls = answer.extensions.includes('STARTTLS')
      score(
        session,
        `${by}-starttls`,
        hasStarttls ? settings.has_starttls_score : settings.no_starttls_score,
      )
      if (tlsa !== undefined) {
        score(session, `${by}-tlsa`, tlsa ? settings.has_tlsa_score : settings.no_tlsa_score)
      }
      if (openpgp !== undefined) {
        const value = openpgp ? settings.has_openpgp_score : settings.no_openpgp_score
        score(session, `${by}-openpgp`, value)
      }
      if (answer.code < 400) return undefined
      const isFinal = answer.code >= 500
      score(session, by, isFinal ? settings.perm_fail_score : settings.temp_fail_score)
      const action = isFinal ? settings.perm_fail_action : settings.temp_fail_action
      if (action === undefined) return undefined
      const outcome = fillTemplate(action, { MSG: answer.text })
      session.set(place, outcome)
      return outcome
    }
  },
})

interface Hosts {
  /** The name whose TLSA record counts. */
  readonly name: string
  readonly addresses: readonly string[]
}

/** Which servers to ask about an address. A DNS failure is treated like an unreachable server. */
async function findHosts(
  host: string | undefined,
  address: string,
  dns: Resolver,
  mayAsk: (address: string) => boolean,
): Promise<Hosts> {
  if (host !== undefined) return { name: host, addresses: [host] }
  const domain = dnsDomainOf(address)
  const literal = /^\[(?:IPv6:)?(.*)\]$/i.exec(domain)?.[1]
  if (literal !== undefined) {
    const addresses = isIP(literal) ? [literal].filter(mayAsk) : []
    return { name: domain, addresses }
  }
  if (domain === '') return { name: domain, addresses: [] }

  const mx = await dns.ask(domain, 'MX')
  if (mx.outcome === 'failed') return { name: domain, addresses: [] }
  const names =
    mx.outcome === 'found'
      ? mx.records.toSorted((a, b) => a.preference - b.preference).map(one => one.exchange)
      : [domain]
  const best = names.slice(0, MOST_HOSTS)
  const found = await Promise.all(best.map(one => addressesOf(one, dns)))
  return { name: best[0] ?? domain, addresses: found.flat().filter(mayAsk).slice(0, MOST_HOSTS) }
}

async function addressesOf(name: string, dns: Resolver): Promise<readonly string[]> {
  // RFC 7505: "." means that the domain accepts no mail.
  if (name === '' || name === '.') return []
  const answers = await Promise.all([dns.ask(name, 'A'), dns.ask(name, 'AAAA')])
  return answers.flatMap(({ records }) => [...records])
}

/** Undefined: the DNS did not answer. */
async function hasRecord(
  dns: Resolver,
  name: string | undefined,
  type: DnsType,
): Promise<boolean | undefined> {
  if (name === undefined) return false
  const { outcome } = await dns.ask(name, type)
  return outcome === 'failed' ? undefined : outcome === 'found'
}

/** RFC 7929, 3: the local part as 28 octets of its SHA-256. */
function openpgpName(address: string): string | undefined {
  const domain = dnsDomainOf(address)
  if (domain === '') return undefined
  const local = localPartOf(address)
  const { createHash } = process.getBuiltinModule('node:crypto')
  const digest = createHash('sha256').update(local).digest('hex').slice(0, 56)
  return `${digest}._openpgpkey.${domain}`
}

/** In ASCII, for the DNS; empty if there is none, or it cannot be a name. */
function dnsDomainOf(address: string): string {
  const domain = plainDomain(domainOf(address))
  return domain.startsWith('[') ? domain : domainToASCII(domain)
}

/** SMTP has no final dot (RFC 5321, 2.3.5); the case of a domain stays as it was written. */
function smtpAddress(address: string): string {
  return quotedAddress(address.replace(/(@[^@]*)\.$/, '$1'))
}

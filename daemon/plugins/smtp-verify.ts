/**
 * SMTPVerify - ask a mail server whether it would take mail for an address.
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
 * The server is `host`, or the mail exchangers of the address's domain (those with the best
 * preference first, five at most), or the domain itself where it has none. It gets MAIL FROM,
 * with the size if it knows SIZE, and RCPT TO, and no mail. By default the *sender* of the mail is
 * verified, and its recipient is given as MAIL FROM: that is what `sender_field = recipient` and
 * `recipient_field = sender` say. `sender` is an address for MAIL FROM that is always the same.
 *
 * A reply of 4xx or 5xx, to MAIL FROM as well, adds `temp_fail_score` or `perm_fail_score` and
 * answers `temp_fail_action` or `perm_fail_action`, where %MSG% is the reply's text. Scores tell
 * what else is known: `has_starttls_score` and `no_starttls_score` of the server; with `check_tlsa`
 * `has_tlsa_score` and `no_tlsa_score` of its first host name (RFC 6698; that the answer is signed
 * is up to the resolver); with `check_openpgp` `has_openpgp_score` and `no_openpgp_score` of the
 * address (RFC 7929), where mtpolicyd always failed. If no server can be reached within `timeout`
 * seconds, nothing happens at all.
 *
 * All this is done once per mail and address. The verdict is kept with the mail: the next request
 * about it is answered alike, where mtpolicyd let it pass. A reply of several lines is made one,
 * blanks between them; mtpolicyd handed the lines on, so that a remote server could write an answer
 * of its own. The empty sender of a bounce cannot be verified: nothing is asked and nothing
 * happens, where mtpolicyd gave no answer. An address with control characters or angle brackets,
 * or longer than 320 bytes, is not sent; the plugin fails.
 */

import { isIP } from 'node:net'
import { domainToASCII } from 'node:url'
import type { DnsType, Resolver } from '../policy/dns.ts'
import { fillTemplate } from '../policy/fields.ts'
import { definePlugin } from '../policy/plugin.ts'
import { addScore } from '../policy/scoring.ts'
import type { Session } from '../policy/session.ts'
import {
  integer,
  number,
  optional,
  perMail,
  text,
  toggle,
  type WrittenNumber,
} from '../policy/setting.ts'
import { checkAction, scoreField } from './reaction.ts'

const MOST_HOSTS = 5

const points = (of: string) => optional(number({ doc: `Points for ${of}.` }))

export const smtpVerify = definePlugin({
  name: 'SMTPVerify',
  summary: 'Ask a mail server whether it would take mail for an address.',
  settings: {
    host: optional(text({ doc: 'Server that is asked, instead of the domain’s own.' })),
    port: integer({ doc: 'Its port.', fallback: 25 }, { min: 1, max: 65_535 }),
    timeout: integer({ doc: 'Seconds for all servers together.', fallback: 3 }, { min: 1 }),
    enabled: perMail(toggle({ doc: 'off switches the plugin off.', fallback: true })),
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
      const place = `${path}-verify-${address}`
      const kept = session.get(place)
      if (kept !== undefined) return typeof kept === 'string' ? kept : undefined
      const limit = AbortSignal.any([signal, AbortSignal.timeout(settings.timeout * 1000)])
      const target = await findHosts(host, address, dns)
      const size = request.count(size_field)
      const question = {
        hosts: target.addresses,
        port,
        sender: settings.sender ?? request.text(sender_field),
        recipient: address,
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

/** Whom to ask about an address. A DNS that does not answer is like a server that does not. */
async function findHosts(host: string | undefined, address: string, dns: Resolver): Promise<Hosts> {
  if (host !== undefined) return { name: host, addresses: [host] }
  const domain = domainOf(address)
  const literal = /^\[(?:IPv6:)?(.*)\]$/i.exec(domain)?.[1]
  if (literal !== undefined) return { name: domain, addresses: isIP(literal) ? [literal] : [] }
  if (domain === '') return { name: domain, addresses: [] }

  const mx = await dns.ask(domain, 'MX')
  if (mx.outcome === 'failed') return { name: domain, addresses: [] }
  const names =
    mx.outcome === 'found'
      ? mx.records.toSorted((a, b) => a.preference - b.preference).map(one => one.exchange)
      : [domain]
  const best = names.slice(0, MOST_HOSTS)
  const found = await Promise.all(best.map(one => addressesOf(one, dns)))
  return { name: best[0] ?? domain, addresses: found.flat().slice(0, MOST_HOSTS) }
}

async function addressesOf(name: string, dns: Resolver): Promise<readonly string[]> {
  // RFC 7505: "." says that the domain takes no mail.
  if (name === '' || name === '.') return []
  const answers = await Promise.all([dns.ask(name, 'A'), dns.ask(name, 'AAAA')])
  return answers.flatMap(({ records }) => [...records])
}

/** Undefined: nobody can tell. */
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
  const domain = domainOf(address)
  if (domain === '') return undefined
  const local = address.slice(0, address.lastIndexOf('@')).replace(/^"(.*)"$/s, '$1')
  const { createHash } = process.getBuiltinModule('node:crypto')
  const digest = createHash('sha256').update(local).digest('hex').slice(0, 56)
  return `${digest}._openpgpkey.${domain}`
}

/** As the DNS knows it; empty if there is none, or none that could be a name. */
function domainOf(address: string): string {
  const at = address.lastIndexOf('@')
  const text = at < 0 ? '' : address.slice(at + 1)
  return text.startsWith('[') ? text : domainToASCII(text)
}

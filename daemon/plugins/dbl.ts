/**
 * DBL - react when a domain of the mail is in a DNS block list of domains.
 *
 *   <Plugin dbl>
 *     module         = "DBL"
 *     domain         = "dbl.spamhaus.org"
 *     helo_name_mode = "passive"
 *   </Plugin>
 *
 * Looks up the domains of `sender`, `reverse_client_name` and `helo_name`, in this order. For a listed
 * domain the score is added (once per mail; 5, 2.5 and 1 by default), and the mode decides: `reject`
 * refuses with `reject_message` (%CHECK% is sender, reverse_client_name or helo_name, %HOSTNAME% the
 * domain, %INFO% a comma and the list's explanation, or nothing), `passive` continues with the next.
 * The first two default to reject, helo_name to passive. Any other word is treated as passive, with a
 * warning. The message shows the domain as it was sent.
 *
 * Only names with a dot are looked up: no addresses, no address literals such as [192.0.2.1], no
 * `unknown`, nothing missing or empty. The domain of a sender is what follows the last @. A domain
 * with letters beyond ASCII is looked up in its ASCII form.
 *
 * A final dot is ignored. The three queries are sent at the same time. Lists that fail, do not respond
 * or refuse to answer are treated as in RBL: they list nobody. The `error_codes` are those of RBL and
 * 127.0.0.1, with which URIBL and SURBL refuse; for a list of domains that uses 127.0.0.1 for a
 * listing, write the others: `error_codes = "127.255.255.0/24"`.
 *
 * Differences from mtpolicyd
 *
 * - An address literal such as [192.0.2.1] is not looked up.
 * - The domain of `"a@b"@example.org` is example.org, where mtpolicyd took what follows the first @;
 *   and no local part keeps a domain from being looked up.
 * - To mtpolicyd a missing attribute was a failure.
 */

import { domainToASCII } from 'node:url'
import { parseIPv4 } from '../net/address.ts'
import { DOMAIN_LIST_ERROR_CODES } from '../policy/block-list.ts'
import {
  type Context,
  definePlugin,
  type MaybePromise,
  type Outcome,
  type Surroundings,
} from '../policy/plugin.ts'
import type { PolicyRequest } from '../policy/request.ts'
import { addScore } from '../policy/scoring.ts'
import { choice, enabled, number, perMail, text } from '../policy/setting.ts'
import { reject } from '../policy/verdict.ts'
import { DnsList, type Listing } from './parts/dns-list.ts'
import { blockList, errorCodes } from './parts/error-codes.ts'
import { checkZone, listingFacts, listingText, refusalText, unheard } from './parts/listing.ts'
import { scoreField } from './parts/reaction.ts'

const CHECKS = ['sender', 'reverse_client_name', 'helo_name'] as const

/** What a listing of one of them means. */
function mode(what: string, fallback: 'reject' | 'passive') {
  const doc = `What a listing of the ${what} means.`
  return perMail(choice(['reject', 'passive'], { doc, fallback, otherwise: 'passive' }))
}

export const dbl = definePlugin({
  name: 'DBL',
  summary: 'React when a domain of the mail is in a DNS block list of domains.',
  facts: listingFacts,
  settings: {
    domain: text({ doc: 'The list.' }),
    error_codes: errorCodes(DOMAIN_LIST_ERROR_CODES),
    enabled,
    sender_mode: mode('sender', 'reject'),
    sender_score: number({ doc: 'Points for the sender.', fallback: { text: '5', value: 5 } }),
    reverse_client_name_mode: mode('client’s name', 'reject'),
    reverse_client_name_score: number({
      doc: 'Points for the client’s name.',
      fallback: { text: '2.5', value: 2.5 },
    }),
    helo_name_mode: mode('HELO', 'passive'),
    helo_name_score: number({ doc: 'Points for the HELO.', fallback: { text: '1', value: 1 } }),
    reject_message: text({
      doc: 'Text of the refusal.',
      fallback: '%CHECK% rejected (%HOSTNAME%%INFO%)',
    }),
    score_field: scoreField,
  },
  create(settings, surroundings) {
    const { name, path, dns, note, ahead } = surroundings
    checkZone(surroundings, settings.domain)
    const list = new DnsList(dns, blockList(settings.domain, settings.error_codes))

    /** Starts all queries at once. */
    const lookUpAll = (request: PolicyRequest, hear: Surroundings['note']): Lookup[] =>
      CHECKS.flatMap(check => {
        const hostname = hostnameOf(request.text(check))
        if (hostname === undefined) return []
        return { check, hostname, found: list.lookUp(asciiForm(hostname), hear) }
      })

    const react = (
      { check, hostname }: Lookup,
      { info, addresses }: Listing,
      { session, facts }: Judged,
    ): Outcome => {
      facts.listed = `${listingText(settings.domain, addresses)} ${hostname} (${check})`
      if (session.once(`${path}-${check}-score`)) {
        addScore(session, settings.score_field, `${name}-${check}`, settings[`${check}_score`])
      }
      if (settings[`${check}_mode`](session) !== 'reject') return undefined
      const values = { CHECK: check, HOSTNAME: hostname, INFO: info === '' ? '' : `, ${info}` }
      return reject(refusalText(settings.reject_message, values))
    }

    const judge = (lookups: readonly Lookup[], context: Judged): MaybePromise<Outcome> => {
      const [lookup, ...others] = lookups
      if (!lookup) return undefined
      const goOn = (listing: Listing | undefined): MaybePromise<Outcome> =>
        (listing && react(lookup, listing, context)) ?? judge(others, context)
      return lookup.found instanceof Promise ? lookup.found.then(goOn) : goOn(lookup.found)
    }

    ahead((request, { session }) => {
      if (settings.enabled(session)) lookUpAll(request, unheard)
    })

    return (request, context) =>
      settings.enabled(context.session) ? judge(lookUpAll(request, note), context) : undefined
  },
})

type Judged = Pick<Context<typeof listingFacts>, 'session' | 'facts'>

interface Lookup {
  readonly check: (typeof CHECKS)[number]
  readonly hostname: string
  readonly found: MaybePromise<Listing | undefined>
}

/**
 * The domain of an address, or a host's name, without a final dot; undefined for what no list of
 * domains can contain.
 */
function hostnameOf(value: string): string | undefined {
  const hostname = value.slice(value.lastIndexOf('@') + 1).replace(/\.$/, '')
  const ascii = asciiForm(hostname)
  if (!ascii.includes('.') || hostname.includes(':') || hostname.startsWith('[')) return undefined
  return parseIPv4(ascii) === undefined ? hostname : undefined
}

/** RFC 5891, also with the full stops of other scripts; empty if there is no such form. */
function asciiForm(hostname: string): string {
  return /^[!-~]*$/.test(hostname) ? hostname : domainToASCII(hostname).replace(/\.$/, '')
}

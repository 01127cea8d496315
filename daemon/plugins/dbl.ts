/**
 * DBL - react when a domain of the mail is in a DNS block list of domains.
 *
 *   <Plugin dbl>
 *     module         = "DBL"
 *     domain         = "dbl.spamhaus.org"
 *     helo_name_mode = "passive"
 *   </Plugin>
 *
 * The domains are those of `sender`, `reverse_client_name` and `helo_name`, in this order. For one
 * that is listed its score is added (once per mail; 5, 2.5 and 1), and its mode decides: `reject`
 * refuses with `reject_message` (%CHECK% is sender, reverse_client_name or helo_name, %HOSTNAME%
 * the domain, %INFO% a comma and the list's explanation, or nothing), `passive` goes on to the
 * next. The first two are on reject, helo_name is on passive; another word is passive, with a
 * warning. Case is kept in the text and does not count in the list.
 *
 * Only names with a dot are looked up: no addresses, no `unknown`, nothing that is missing or empty
 * (a missing attribute is a failure to mtpolicyd). Other than there, an address literal such as
 * [192.0.2.1] is not looked up either; the domain of `"a@b"@example.org` is what follows the last
 * @, where mtpolicyd took what follows the first; and what stands before the @ does not keep a
 * domain from being looked up. A domain with letters beyond ASCII is looked up in its ASCII form.
 *
 * The three questions are asked at the same time. What is said of lists that fail, stay silent or
 * refuse in RBL holds here: they list nobody.
 */

import { domainToASCII } from 'node:url'
import { parseIPv4 } from '../policy/address.ts'
import {
  definePlugin,
  type MaybePromise,
  type Outcome,
  type Surroundings,
} from '../policy/plugin.ts'
import type { PolicyRequest } from '../policy/request.ts'
import { addScore } from '../policy/scoring.ts'
import type { Session } from '../policy/session.ts'
import { number, text } from '../policy/setting.ts'
import { reject } from '../policy/verdict.ts'
import {
  checkMode,
  checkZone,
  enabled,
  type Listing,
  lookUp,
  mode,
  refusalText,
  unheard,
} from './listing.ts'
import { scoreField } from './reaction.ts'

const CHECKS = ['sender', 'reverse_client_name', 'helo_name'] as const

export const dbl = definePlugin({
  name: 'DBL',
  summary: 'React when a domain of the mail is in a DNS block list of domains.',
  settings: {
    domain: text({ doc: 'The list.' }),
    enabled,
    sender_mode: mode('reject'),
    sender_score: number({ doc: 'Points for the sender.', fallback: { text: '5', value: 5 } }),
    reverse_client_name_mode: mode('reject'),
    reverse_client_name_score: number({
      doc: 'Points for the client’s name.',
      fallback: { text: '2.5', value: 2.5 },
    }),
    helo_name_mode: mode('passive'),
    helo_name_score: number({ doc: 'Points for the HELO.', fallback: { text: '1', value: 1 } }),
    reject_message: text({
      doc: 'Text of the refusal.',
      fallback: '%CHECK% rejected (%HOSTNAME%%INFO%)',
    }),
    score_field: scoreField,
  },
  create(settings, surroundings) {
    const { name, path, dns, note, ahead } = surroundings
    for (const check of CHECKS) checkMode(surroundings, `${check}_mode`, ['reject', 'passive'])
    checkZone(surroundings, settings.domain)
    const zone = settings.domain.replace(/\.$/, '')

    /** All that has to be asked, asked at once. */
    const lookUpAll = (request: PolicyRequest, hear: Surroundings['note']): Lookup[] =>
      CHECKS.flatMap(check => {
        const hostname = hostnameOf(request.text(check))
        if (hostname === undefined) return []
        return { check, hostname, found: lookUp(dns, asciiForm(hostname), zone, hear) }
      })

    const react = ({ check, hostname }: Lookup, { info }: Listing, session: Session): Outcome => {
      if (session.once(`${path}-${check}-score`)) {
        addScore(session, settings.score_field, `${name}-${check}`, settings[`${check}_score`])
      }
      if (settings[`${check}_mode`](session) !== 'reject') return undefined
      const values = { CHECK: check, HOSTNAME: hostname, INFO: info === '' ? '' : `, ${info}` }
      return reject(refusalText(settings.reject_message, values))
    }

    const judge = (lookups: readonly Lookup[], session: Session): MaybePromise<Outcome> => {
      const [lookup, ...others] = lookups
      if (!lookup) return undefined
      const goOn = (listing: Listing | undefined): MaybePromise<Outcome> =>
        (listing && react(lookup, listing, session)) ?? judge(others, session)
      return lookup.found instanceof Promise ? lookup.found.then(goOn) : goOn(lookup.found)
    }

    ahead((request, { session }) => {
      if (settings.enabled(session)) lookUpAll(request, unheard)
    })

    return (request, { session }) =>
      settings.enabled(session) ? judge(lookUpAll(request, note), session) : undefined
  },
})

interface Lookup {
  readonly check: (typeof CHECKS)[number]
  readonly hostname: string
  readonly found: MaybePromise<Listing | undefined>
}

/** The domain of an address, or a host's name; undefined for what no list of domains knows. */
function hostnameOf(value: string): string | undefined {
  const hostname = value.slice(value.lastIndexOf('@') + 1)
  if (!hostname.includes('.') || hostname.includes(':') || hostname.startsWith('[')) {
    return undefined
  }
  return parseIPv4(hostname) === undefined ? hostname : undefined
}

/** RFC 5891; what has no such form is asked for as it is, and not found. */
function asciiForm(hostname: string): string {
  return /^[!-~]*$/.test(hostname) ? hostname : domainToASCII(hostname)
}

/**
 * SPF - check whether the client may send mail for the sender's domain.
 *
 *   <Plugin spf>
 *     module         = "SPF"
 *     fail_mode      = "reject"
 *     softfail_score = 5
 *     pass_score     = -1
 *     whitelist      = "192.0.2.0/24, 2001:db8::/32"
 *   </Plugin>
 *
 * The HELO name is checked first (unless `check_helo = off`), then the sender; both are looked up at
 * the same time. A sender without an address (a bounce) is postmaster at the HELO name, and is skipped
 * if there is none. Clients on this host, with a loopback address or the server's own
 * (`server_address`), and clients on the `whitelist` are not checked. A client behind a NAT64 translator
 * (64:ff9b::/96) counts as its IPv4 address.
 *
 * Each result has its score, added once per mail by the check that finds it first, and its mode:
 *
 * - `pass_mode`, for the sender only: `accept` or `dunno` end the chain without objection.
 * - `softfail_mode`: the same, or `reject` or `defer` with `reject_message`.
 * - `fail_mode`: `reject` or `defer` with `reject_message`.
 * - `temperror_mode` (the DNS did not answer) and `permerror_mode` (the domain's record is invalid):
 *   `reject` or `defer` with the reason; `dunno` ends the chain without objection.
 *
 * With `passive` the chain continues. Any other word is treated as passive, with a warning at start.
 * In `reject_message` %LOCAL_EXPL% is the result of the check and %AUTH_EXPL% the domain's own
 * explanation of a fail, or `default_authority_explanation` with its macros (RFC 7208, 7); it is empty
 * for a softfail. `hostname` is this host's name in those macros.
 *
 * Differences from mtpolicyd
 *
 * - These follow mtpolicyd's manual. mtpolicyd itself did nothing for `fail_mode = defer`; here the
 *   mail is deferred.
 * - `temperror_mode` also decided about invalid records, and every temperror that was not passive or
 *   dunno was deferred, every permerror rejected. Here each mode decides about its own result, and
 *   reject and defer mean what they say.
 * - A sender without an address was an error if there was no HELO name, or with `check_helo = off`.
 *   Here it is skipped.
 * - `fail_mode` = `accept` or `dunno` is passive, as in mtpolicyd.
 */

import { hostname } from 'node:os'
import { untranslatedAddress } from '../net/address.ts'
import {
  addressGroups,
  isWithin,
  NETWORK_FORMS,
  type Network,
  parseNetwork,
} from '../net/network.ts'
import { fact } from '../policy/facts.ts'
import { fillTemplate } from '../policy/fields.ts'
import { type Context, definePlugin, type Outcome, type Surroundings } from '../policy/plugin.ts'
import type { SpfQuestion, SpfVerdict } from '../policy/ports/spf.ts'
import type { PolicyRequest } from '../policy/request.ts'
import { addScore } from '../policy/scoring.ts'
import {
  choice,
  enabled,
  integer,
  number,
  optional,
  perMail,
  text,
  toggle,
} from '../policy/setting.ts'
import { isThisHost } from '../policy/this-host.ts'
import { defer, dunno, reject } from '../policy/verdict.ts'
import { LookupError } from '../system/errors.ts'
import { excerpt } from '../text/excerpt.ts'
import { scoreField } from './parts/reaction.ts'

const MODES = ['passive', 'accept', 'dunno', 'reject', 'defer'] as const

/** What a result means. Any other word is treated as passive. */
function mode(doc: string, fallback: (typeof MODES)[number]) {
  return choice(MODES, { doc, fallback, otherwise: 'passive' })
}

const FACTS = {
  spf: fact<string>('decision', 'The result of the SPF check, unless it is pass, none or neutral.'),
  spf_by: fact<string>('decision', 'Whose record it was, and which mechanism of it has matched.'),
}

export const spf = definePlugin({
  name: 'SPF',
  summary: 'Check whether the client may send mail for the sender’s domain.',
  facts: FACTS,
  settings: {
    enabled,
    pass_mode: perMail(
      choice(['passive', 'accept', 'dunno'], {
        doc: 'On pass.',
        fallback: 'passive',
        otherwise: 'passive',
      }),
    ),
    pass_score: optional(number({ doc: 'Points added on pass.' })),
    softfail_mode: perMail(mode('On softfail.', 'passive')),
    softfail_score: optional(number({ doc: 'Points added on softfail.' })),
    fail_mode: perMail(mode('On fail; accept and dunno mean passive.', 'reject')),
    fail_score: optional(number({ doc: 'Points added on fail.' })),
    temperror_mode: mode('If the DNS does not answer.', 'defer'),
    temperror_score: optional(number({ doc: 'Points added if the DNS does not answer.' })),
    permerror_mode: mode('If a record is invalid.', 'reject'),
    permerror_score: optional(number({ doc: 'Points added if a record is invalid.' })),
    reject_message: text({
      doc: 'Text of a refusal.',
      fallback: 'SPF validation failed: %LOCAL_EXPL%',
    }),
    default_authority_explanation: text({
      doc: 'Value of %AUTH_EXPL% if the domain has no explanation of its own.',
      fallback: 'See http://www.%{d}/why/id=%{S};ip=%{I};r=%{R}',
    }),
    hostname: text({
      doc: 'The name of this host in macros; empty: the system’s host name.',
      fallback: '',
    }),
    whitelist: text({
      doc: 'Clients that are not checked: addresses or networks (ADDRESS/BITS, ADDRESS/NETMASK), separated by commas or spaces.',
      fallback: '',
    }),
    check_helo: toggle({ doc: 'off: the HELO name is not checked.', fallback: true }),
    max_dns_interactive_terms: limit('Limit for the terms of a record that query the DNS.', 10),
    max_name_lookups_per_term: limit('Limit for the names per mx or ptr.', 10),
    max_void_dns_lookups: limit('Limit for the terms of a record that find nothing in the DNS.', 2),
    score_field: scoreField,
  },
  create(settings, surroundings) {
    const { name, path, ahead } = surroundings
    const { check_helo, reject_message, score_field } = settings
    const whitelist = networks(settings.whitelist, surroundings)
    const receiver = settings.hostname || hostname()
    const checker = surroundings.spf({
      terms: settings.max_dns_interactive_terms,
      namesPerTerm: settings.max_name_lookups_per_term,
      voids: settings.max_void_dns_lookups,
    })

    /** In the order they are evaluated; empty if the mail is not to be checked. */
    function questionsAbout(request: PolicyRequest): SpfQuestion[] {
      const address = request.text('client_address')
      if (address === '') return []
      const groups = addressGroups(address)
      if (!groups) throw new LookupError(`"${address}" is not an address`)
      if (isThisHost(request)) return []
      const untranslated = addressGroups(untranslatedAddress(address)) ?? groups
      const isListed = (network: Network): boolean =>
        isWithin(groups, network) || isWithin(untranslated, network)
      if (whitelist.some(isListed)) return []

      const helo = check_helo ? request.text('helo_name') : ''
      const sender = request.get('sender')
      const identity = sender === '' && helo !== '' ? `postmaster@${helo}` : sender
      const common = { address, helo: request.text('helo_name'), receiver }
      const questions: SpfQuestion[] = []
      if (helo !== '') questions.push({ ...common, scope: 'helo', identity: helo })
      if (identity) questions.push({ ...common, scope: 'mfrom', identity })
      return questions
    }

    async function react(
      question: SpfQuestion,
      { result, explanation, authority }: SpfVerdict,
      { session, signal, facts }: Context<typeof FACTS>,
    ): Promise<Outcome> {
      if (result === 'none' || result === 'neutral') return undefined
      const { scope } = question
      if (result === 'pass' && scope === 'helo') return undefined
      if (result !== 'pass') {
        facts.spf = result
        facts.spf_by = explanation
      }
      const score = settings[`${result}_score`]
      if (score && session.once(`${path}-score`)) addScore(session, score_field, name, score)

      const chosen = settings[`${result}_mode`]
      const word = typeof chosen === 'string' ? chosen : chosen(session)
      if (word === 'accept' || word === 'dunno') return result === 'fail' ? undefined : dunno
      if ((word !== 'reject' && word !== 'defer') || result === 'pass') return undefined
      const answer = word === 'reject' ? reject : defer
      if (result === 'temperror' || result === 'permerror') {
        return answer(`spf ${scope} check failed: ${explanation}`)
      }
      const theirs =
        result === 'fail' && reject_message.includes('%AUTH_EXPL%')
          ? (authority ??
            (await checker.expand(settings.default_authority_explanation, question, signal)))
          : ''
      return answer(fillTemplate(reject_message, { LOCAL_EXPL: explanation, AUTH_EXPL: theirs }))
    }

    function begin(question: SpfQuestion, { signal }: Context): Promise<SpfVerdict> {
      const verdict = checker.check(question, signal)
      // The check may never be awaited. If it is, the rejection still arrives there.
      verdict.catch(() => undefined)
      return verdict
    }

    async function check(
      questions: readonly SpfQuestion[],
      context: Context<typeof FACTS>,
    ): Promise<Outcome> {
      const verdicts = questions.map(question => ({
        question,
        verdict: begin(question, context),
      }))
      for (const { question, verdict } of verdicts) {
        const outcome = await react(question, await verdict, context)
        if (outcome !== undefined) return outcome
      }
      return undefined
    }

    // The resolver caches the answers, where the check itself finds them.
    ahead((request, context) => {
      if (!settings.enabled(context.session)) return
      for (const question of questionsAbout(request)) void begin(question, context)
    })

    return (request, context) => {
      if (!settings.enabled(context.session)) return undefined
      const questions = questionsAbout(request)
      return questions.length === 0 ? undefined : check(questions, context)
    }
  },
})

function limit(doc: string, fallback: number) {
  return integer({ doc, fallback }, { min: 0, max: 1000 })
}

function networks(written: string, { warn }: Surroundings): Network[] {
  return written.split(/[\s,]+/).flatMap(word => {
    if (word === '') return []
    const network = parseNetwork(word)
    if (!network)
      warn(`expected ${NETWORK_FORMS}, found "${excerpt(word)}"; it is ignored`, 'whitelist')
    return network ?? []
  })
}

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
 * The HELO name is checked first (`check_helo = off` leaves that out), then the sender; both are
 * looked up at the same time. A sender without address (a bounce) is postmaster at the HELO name,
 * and is passed over where there is none. Clients that are this host itself, or on the `whitelist`,
 * are not checked.
 *
 * Each result has its score, added once per mail whichever check found it first, and its mode:
 *
 * - `pass_mode`, for the sender alone: `accept` or `dunno` end the chain without objection.
 * - `softfail_mode`: the same, or `reject` or `defer` with `reject_message`.
 * - `fail_mode`: `reject` or `defer` with `reject_message`.
 * - `temperror_mode`, the DNS did not answer, and `permerror_mode`, the domain's record is wrong:
 *   `reject` or `defer` with what went wrong; `dunno` ends the chain without objection.
 *
 * With `passive` the chain goes on, as with a word that is none of these, which is said at start. In `reject_message` %LOCAL_EXPL% is what was found out and
 * %AUTH_EXPL% the domain's own words for a fail, or `default_authority_explanation` with its macros
 * (RFC 7208, 7); it is empty for a softfail. `hostname` is this host's name in those macros.
 *
 * What differs from mtpolicyd follows mtpolicyd's manual. mtpolicyd did nothing for `fail_mode =
 * defer`; here the mail is deferred. There `temperror_mode` also decided about wrong records, and
 * every temperror that was not passive or dunno was deferred, every permerror rejected; here each
 * of the two modes decides about its own result, and says reject or defer as it is written. There
 * a sender without address and without a HELO name, or with `check_helo = off`, was an error;
 * here it is passed over. `fail_mode` = `accept` or `dunno` is passive, as it was there.
 */

import { hostname } from 'node:os'
import { addressKind } from '../policy/address.ts'
import { LookupError } from '../policy/errors.ts'
import { fillTemplate } from '../policy/fields.ts'
import { addressGroups, isWithin, type Network, parseNetwork } from '../policy/network.ts'
import { type Context, definePlugin, type Outcome, type Surroundings } from '../policy/plugin.ts'
import type { PolicyRequest } from '../policy/request.ts'
import { addScore } from '../policy/scoring.ts'
import { integer, number, optional, perMail, text, toggle } from '../policy/setting.ts'
import type { SpfQuestion, SpfVerdict } from '../policy/spf.ts'
import { defer, dunno, reject } from '../policy/verdict.ts'
import { scoreField } from './reaction.ts'

/** Words that mean something; with any other one the chain goes on, as with `passive`. */
const MODES = {
  pass_mode: ['passive', 'accept', 'dunno'],
  softfail_mode: ['passive', 'accept', 'dunno', 'reject', 'defer'],
  fail_mode: ['passive', 'accept', 'dunno', 'reject', 'defer'],
  temperror_mode: ['passive', 'accept', 'dunno', 'reject', 'defer'],
  permerror_mode: ['passive', 'accept', 'dunno', 'reject', 'defer'],
}

export const spf = definePlugin({
  name: 'SPF',
  summary: 'Check whether the client may send mail for the sender’s domain.',
  settings: {
    enabled: perMail(toggle({ doc: 'off switches the plugin off.', fallback: true })),
    pass_mode: perMail(text({ doc: 'On pass: passive, accept or dunno.', fallback: 'passive' })),
    pass_score: optional(number({ doc: 'Points added on pass.' })),
    softfail_mode: perMail(
      text({ doc: 'On softfail: passive, accept, dunno, defer or reject.', fallback: 'passive' }),
    ),
    softfail_score: optional(number({ doc: 'Points added on softfail.' })),
    fail_mode: perMail(text({ doc: 'On fail: reject, defer or passive.', fallback: 'reject' })),
    fail_score: optional(number({ doc: 'Points added on fail.' })),
    temperror_mode: text({
      doc: 'Where the DNS does not answer: defer, reject, dunno or passive.',
      fallback: 'defer',
    }),
    temperror_score: optional(number({ doc: 'Points added where the DNS does not answer.' })),
    permerror_mode: text({
      doc: 'Where a record is wrong: reject, defer, dunno or passive.',
      fallback: 'reject',
    }),
    permerror_score: optional(number({ doc: 'Points added where a record is wrong.' })),
    reject_message: text({
      doc: 'Text of a refusal.',
      fallback: 'SPF validation failed: %LOCAL_EXPL%',
    }),
    default_authority_explanation: text({
      doc: 'What %AUTH_EXPL% is where the domain has no words of its own.',
      fallback: 'See http://www.%{d}/why/id=%{S};ip=%{I};r=%{R}',
    }),
    hostname: text({ doc: 'The name of this host in macros; empty: its own.', fallback: '' }),
    whitelist: text({
      doc: 'Clients that are not checked: addresses or networks, with commas or blanks.',
      fallback: '',
    }),
    check_helo: toggle({ doc: 'off: the HELO name is not checked.', fallback: true }),
    max_dns_interactive_terms: limit('Terms of a record that ask the DNS.', 10),
    max_name_lookups_per_term: limit('Names per mx or ptr.', 10),
    max_void_dns_lookups: limit('Questions that find nothing.', 2),
    score_field: scoreField,
  },
  create(settings, surroundings) {
    const { name, path, section, warn, ahead } = surroundings
    const { enabled, check_helo, reject_message, score_field } = settings
    const whitelist = networks(settings.whitelist, surroundings)
    const receiver = settings.hostname || hostname()
    const checker = surroundings.spf({
      terms: settings.max_dns_interactive_terms,
      namesPerTerm: settings.max_name_lookups_per_term,
      voids: settings.max_void_dns_lookups,
    })
    for (const [option, words] of Object.entries(MODES)) {
      const value = section.options.find(one => one.name === option)?.value
      if (value !== undefined && !words.includes(value)) {
        warn(`"${value}" is taken for passive; expected one of: ${words.join(', ')}`, option)
      }
    }

    /** In the order they are looked at; none where the mail is not to be checked. */
    function questionsAbout(request: PolicyRequest): SpfQuestion[] {
      const address = request.text('client_address')
      if (address === '') return []
      const groups = addressGroups(address)
      if (!groups) throw new LookupError(`"${address}" is no address`)
      if (addressKind(address) === 'loopback') return []
      if (whitelist.some(network => isWithin(groups, network))) return []

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
      { session, signal }: Context,
    ): Promise<Outcome> {
      if (result === 'none' || result === 'neutral') return undefined
      const { scope } = question
      if (result === 'pass' && scope === 'helo') return undefined
      const score = settings[`${result}_score`]
      if (score && session.once(`${path}-score`)) addScore(session, score_field, name, score)

      const mode = settings[`${result}_mode`]
      const word = typeof mode === 'string' ? mode : mode(session)
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
      // Nobody may wait for it in the end; whoever does is told all the same.
      verdict.catch(() => undefined)
      return verdict
    }

    async function check(questions: readonly SpfQuestion[], context: Context): Promise<Outcome> {
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

    // What the DNS says is kept there, and found by the check itself.
    ahead((request, context) => {
      if (!enabled(context.session)) return
      for (const question of questionsAbout(request)) void begin(question, context)
    })

    return (request, context) => {
      if (!enabled(context.session)) return undefined
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
    if (!network) warn(`"${word}" is no address or network, and passed over`, 'whitelist')
    return network ?? []
  })
}

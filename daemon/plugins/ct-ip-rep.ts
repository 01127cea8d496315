/**
 * CtIpRep - ask Commtouch's reputation service, ctipd, about the client's address.
 *
 *   <Plugin reputation>
 *     module         = "CtIpRep"
 *     url            = "http://localhost:8080/ctipd/iprep"
 *     tempfail_mode  = "passive"
 *     tempfail_score = 2
 *   </Plugin>
 *
 * The service says accept, tempfail or permfail. After the last two the score is added (once per
 * mail), and `tempfail_mode` or `permfail_mode` decides: `reject` and `defer` answer with their
 * message (%IP% the address, %REFID% the service's reference), anything else goes on. The verdict
 * is kept for the mail. https:// is understood, too.
 *
 * No address in the request, a service that does not answer with status 200 within 3 seconds, and
 * an answer without a verdict are failures of the plugin. So is a verdict of another name: to
 * mtpolicyd that cost the answer; here `on_error` and `on_failure` decide. No service of this kind
 * is publicly offered any more.
 */

import { canonicalAddress } from '../policy/address.ts'
import { LookupError } from '../policy/errors.ts'
import { fillTemplate } from '../policy/fields.ts'
import type { HttpAnswer } from '../policy/peers.ts'
import { definePlugin } from '../policy/plugin.ts'
import { addScore } from '../policy/scoring.ts'
import { number, optional, perMail, text, toggle } from '../policy/setting.ts'
import { defer, oneLine, reject } from '../policy/verdict.ts'
import { scoreField } from './reaction.ts'

const PAGE = 'http://www.commtouch.com/Site/Resources/Check_IP_Reputation.asp'

/** What the service said, as it is kept in the session. */
type Reputation = readonly [verdict: 'accept' | 'permfail' | 'tempfail', reference: string]

export const ctIpRep = definePlugin({
  name: 'CtIpRep',
  summary: "Ask Commtouch's reputation service about the client.",
  settings: {
    url: text({ doc: 'Where ctipd listens.', fallback: 'http://localhost:8080/ctipd/iprep' }),
    key: optional(text({ doc: 'The key the service asks for.' })),
    enabled: perMail(toggle({ doc: 'off switches the plugin off.', fallback: true })),
    permfail_mode: perMail(text({ doc: 'reject, defer or passive.', fallback: 'reject' })),
    tempfail_mode: perMail(text({ doc: 'reject, defer or passive.', fallback: 'defer' })),
    reject_message: text({
      doc: 'Text of a refusal.',
      fallback: `550 delivery from %IP% is rejected. Check at ${PAGE}. Reference code: %REFID%`,
    }),
    defer_message: text({
      doc: 'Text of a temporary refusal.',
      fallback:
        '450 delivery from %IP% is deferred,repeatedly. ' +
        `Send again or check at ${PAGE}. Reference code: %REFID%`,
    }),
    permfail_score: optional(number({ doc: 'Points for permfail.' })),
    tempfail_score: optional(number({ doc: 'Points for tempfail.' })),
    score_field: scoreField,
  },
  create(settings, { name, path, httpPost }) {
    const { url, key, enabled, permfail_score, tempfail_score, score_field } = settings

    async function ask(address: string, signal: AbortSignal): Promise<Reputation> {
      const question = questionOf(address, key)
      const form = 'application/x-www-form-urlencoded'
      return readAnswer(await httpPost(url, question, form, signal))
    }

    return async (request, { session, signal }) => {
      if (!enabled(session)) return undefined
      const address = canonicalAddress(request.text('client_address'))
      if (address === undefined) throw new LookupError('the request has no client_address')

      const place = `${path}-${address}`
      const kept = session.get(place)
      const [verdict, reference] = isReputation(kept) ? kept : await ask(address, signal)
      session.set(place, [verdict, reference])
      if (verdict === 'accept') return undefined

      const isFinal = verdict === 'permfail'
      const score = isFinal ? permfail_score : tempfail_score
      if (score && score.value !== 0 && session.once(`${path}-score`)) {
        addScore(session, score_field, name, score)
      }
      const values = { IP: address, REFID: reference }
      switch ((isFinal ? settings.permfail_mode : settings.tempfail_mode)(session)) {
        case 'reject':
          return reject(fillTemplate(settings.reject_message, values))
        case 'defer':
          return defer(fillTemplate(settings.defer_message, values))
        default:
          return undefined
      }
    }
  },
})

function questionOf(address: string, key: string | undefined): string {
  const lines = ['x-ctch-request-type: classifyip', 'x-ctch-pver: 1.0']
  if (key !== undefined) lines.push(`x-ctch-key: ${key}`)
  return [...lines, '', `x-ctch-ip: ${address}`, ''].join('\r\n')
}

function readAnswer({ status, body }: HttpAnswer): Reputation {
  if (status !== 200) throw new LookupError(`ctipd answers with status ${status}`)
  const value = (name: string): string | undefined =>
    new RegExp(`^x-ctch-${name}:\\s*(.*?)\\s*\\r\\n`, 'm').exec(body)?.[1]
  const reputation = [value('dm-action'), value('refid') ?? '']
  if (isReputation(reputation)) return reputation
  throw new LookupError(`ctipd answers with the verdict "${oneLine(reputation[0] ?? '')}"`)
}

function isReputation(value: unknown): value is Reputation {
  return Array.isArray(value) && ['accept', 'permfail', 'tempfail'].includes(value[0])
}

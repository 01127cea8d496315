/**
 * CtIpRep - query Commtouch's reputation service, ctipd, about the client's address.
 *
 *   <Plugin reputation>
 *     module         = "CtIpRep"
 *     url            = "http://localhost:8080/ctipd/iprep"
 *     tempfail_mode  = "passive"
 *     tempfail_score = 2
 *   </Plugin>
 *
 * The service answers accept, tempfail or permfail. For the last two the score is added, once per
 * mail, and `tempfail_mode` or `permfail_mode` decides: `reject` and `defer` answer with their message
 * (%IP% is the address, %REFID% the service's reference); with any other word the chain continues. The
 * verdict is kept with the mail. https:// works as well. Clients on this host are not looked up unless
 * `this_host = on`.
 *
 * The plugin fails if the request has no address, if the service does not answer with status 200
 * within 3 seconds, or if its answer has no known verdict. No service of this kind is publicly offered
 * any more.
 *
 * Differences from mtpolicyd
 *
 * - With an unknown verdict mtpolicyd gave no answer at all. Here `on_error` and `on_failure` decide.
 */

import { canonicalAddress } from '../net/address.ts'
import { fillTemplate } from '../policy/fields.ts'
import { definePlugin } from '../policy/plugin.ts'
import type { HttpAnswer } from '../policy/ports/peers.ts'
import { addScore } from '../policy/scoring.ts'
import { choice, enabled, number, optional, perMail, text } from '../policy/setting.ts'
import { isThisHost, thisHostSetting } from '../policy/this-host.ts'
import { defer, oneLine, reject } from '../policy/verdict.ts'
import { LookupError } from '../system/errors.ts'
import { scoreField } from './parts/reaction.ts'

const PAGE = 'http://www.commtouch.com/Site/Resources/Check_IP_Reputation.asp'

/** The service's answer, as kept in the session. */
type Reputation = readonly [verdict: 'accept' | 'permfail' | 'tempfail', reference: string]

function mode(verdict: string, fallback: 'reject' | 'defer') {
  const doc = `What ${verdict} means.`
  return perMail(choice(['reject', 'defer', 'passive'], { doc, fallback, otherwise: 'passive' }))
}

export const ctIpRep = definePlugin({
  name: 'CtIpRep',
  summary: "Query Commtouch's reputation service about the client.",
  settings: {
    url: text({ doc: 'Where ctipd listens.', fallback: 'http://localhost:8080/ctipd/iprep' }),
    key: optional(text({ doc: 'The key that the service requires.' })),
    enabled,
    permfail_mode: mode('permfail', 'reject'),
    tempfail_mode: mode('tempfail', 'defer'),
    reject_message: text({
      doc: 'Text of a refusal.',
      fallback: `550 delivery from %IP% is rejected. Check at ${PAGE}. Reference code: %REFID%`,
    }),
    defer_message: text({
      doc: 'Text of a deferral.',
      fallback:
        '450 delivery from %IP% is deferred,repeatedly. ' +
        `Send again or check at ${PAGE}. Reference code: %REFID%`,
    }),
    permfail_score: optional(number({ doc: 'Points for permfail.' })),
    tempfail_score: optional(number({ doc: 'Points for tempfail.' })),
    score_field: scoreField,
    this_host: thisHostSetting,
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
      if (!settings.this_host && isThisHost(request)) return undefined
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
  if (status !== 200) throw new LookupError(`ctipd answered with status ${status}`)
  const value = (name: string): string | undefined =>
    new RegExp(`^x-ctch-${name}:\\s*(.*?)\\s*\\r\\n`, 'm').exec(body)?.[1]
  const reputation = [value('dm-action'), value('refid') ?? '']
  if (isReputation(reputation)) return reputation
  throw new LookupError(`ctipd answered with the verdict "${oneLine(reputation[0] ?? '')}"`)
}

function isReputation(value: unknown): value is Reputation {
  return Array.isArray(value) && ['accept', 'permfail', 'tempfail'].includes(value[0])
}

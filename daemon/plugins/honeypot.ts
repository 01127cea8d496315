/**
 * Honeypot - refuse clients that have written to an address which nobody uses.
 *
 *   <Connection memcached>
 *     module  = "Memcached"
 *     servers = "127.0.0.1:11211"
 *   </Connection>
 *   ...
 *   <Plugin honeypot>
 *     module        = "Honeypot"
 *     recipients    = "old-colleague@example.org, webmaster1@example.org"
 *     recipients_re = "^trap-\d+@"
 *   </Plugin>
 *
 * A client that sends to one of `recipients` (compared exactly), or to an address that one of the
 * regular expressions in `recipients_re` fits, is trapped: this mail and all its others are refused
 * for `expire` seconds after it was last seen at a honeypot. Any other `mode` than `reject` adds
 * the score, once per mail, and runs the blocks inside, which may decide.
 *
 * `memcached` names the connection that keeps the trapped addresses, Memcached or Redis; each is
 * there as PLUGIN,ADDRESS. If it does not answer, the plugin has failed (on_error, on_failure).
 *
 * In mtpolicyd 2 the plugin failed with every request. This is what its manual promised.
 */

import { compilePattern } from '../policy/pattern.ts'
import {
  type Context,
  definePlugin,
  type MaybePromise,
  type Outcome,
  type Surroundings,
} from '../policy/plugin.ts'
import type { PolicyRequest } from '../policy/request.ts'
import { addScore } from '../policy/scoring.ts'
import { integer, list, number, optional, perMail, text, toggle } from '../policy/setting.ts'
import { reject } from '../policy/verdict.ts'
import { scoreField } from './reaction.ts'

export const honeypot = definePlugin({
  name: 'Honeypot',
  summary: 'Refuse clients that have written to an address which nobody uses.',
  nests: true,
  settings: {
    recipients: list({ doc: 'Addresses that are honeypots.', fallback: [] }),
    recipients_re: list({ doc: 'Regular expressions of such addresses.', fallback: [] }),
    enabled: perMail(toggle({ doc: 'off switches the plugin off.', fallback: true })),
    mode: text({ doc: 'reject, or passive.', fallback: 'reject' }),
    reject_message: text({ doc: 'Text of the refusal.', fallback: 'trapped by honeypod' }),
    score: optional(number({ doc: 'Points added, unless mode is reject.' })),
    score_field: scoreField,
    expire: integer({ doc: 'Seconds a client stays trapped.', fallback: 7200 }, { min: 1 }),
    memcached: text({ doc: 'Name of the connection that remembers.', fallback: 'memcached' }),
  },
  create(settings, surroundings) {
    const { enabled, mode, reject_message, score, score_field, expire, memcached } = settings
    const { name, path, keyValue, nested, refuse } = surroundings
    const recipients = new Set(settings.recipients.map(address => address.trim()))
    const patterns = settings.recipients_re.flatMap(source => readable(source, surroundings))
    const store = keyValue(memcached)
    if (!store) {
      refuse(`there is no <Connection ${memcached}>`, 'memcached')
      return () => undefined
    }

    function react(request: PolicyRequest, context: Context): MaybePromise<Outcome> {
      if (mode === 'reject') return reject(reject_message)
      const { session } = context
      if (score && session.once(`${path}-score`)) addScore(session, score_field, name, score)
      return nested?.(request, context)
    }

    return (request, context) => {
      const { session } = context
      const address = request.text('client_address')
      if (!enabled(session) || address === '') return undefined
      const recipient = request.text('recipient')
      const isHoneypot =
        recipients.has(recipient) || patterns.some(pattern => pattern.test(recipient))
      const trapped = `${path}-trapped-${address}`
      if (!isHoneypot && session.get(trapped) !== undefined) return react(request, context)
      const key = `${name},${address}`
      const settled = isHoneypot
        ? store.set(key, '1', expire).then(() => true)
        : store.get(key).then(value => value !== undefined)
      return settled.then(isTrapped => {
        if (!isTrapped) return undefined
        session.set(trapped, 1)
        return react(request, context)
      })
    }
  },
})

function readable(
  source: string,
  { warn }: Surroundings,
): readonly { test(text: string): boolean }[] {
  try {
    return [compilePattern(source)]
  } catch (error) {
    const reason = error instanceof Error ? error.message : error
    warn(`"${source}" is passed over: ${reason}`, 'recipients_re')
    return []
  }
}

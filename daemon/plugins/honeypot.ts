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
 * A client that sends to one of `recipients`, or to an address that matches one of the regular
 * expressions in `recipients_re`, is trapped: this mail and all its other mail is refused for `expire`
 * seconds after it was last seen at a honeypot. With any `mode` other than `reject` the score is
 * added, once per mail, and the nested blocks run and may decide.
 *
 * The domain of an address counts in any case and with or without a final dot; the local part must be
 * exactly the same. Clients on this host (a loopback address, or the server's own `server_address`)
 * are never trapped unless `this_host = on`: webmail users and local programs share that address.
 * Other relays of your own, such as a backup MX, forward what strangers write to a honeypot: let them
 * pass before this block, for example with PostfixMap.
 *
 * `memcached` names the connection that stores the trapped addresses, Memcached or Redis, each under
 * the key PLUGIN,ADDRESS. If it does not respond, the plugin has failed (on_error, on_failure).
 *
 * Differences from mtpolicyd
 *
 * - In mtpolicyd 2 the plugin failed with every request. This is what its manual promised.
 */

import { fact } from '../policy/facts.ts'
import { plainAddress, writtenAddress } from '../policy/mail-address.ts'
import { type Context, definePlugin, type MaybePromise, type Outcome } from '../policy/plugin.ts'
import type { PolicyRequest } from '../policy/request.ts'
import { addScore } from '../policy/scoring.ts'
import {
  choice,
  enabled,
  LONGEST_SECONDS,
  list,
  number,
  optional,
  patterns,
  seconds,
  text,
} from '../policy/setting.ts'
import { plainValue, spellings } from '../policy/spelling.ts'
import { isThisHost, thisHostSetting } from '../policy/this-host.ts'
import { reject } from '../policy/verdict.ts'
import { scoreField } from './parts/reaction.ts'

export const honeypot = definePlugin({
  name: 'Honeypot',
  summary: 'Refuse clients that have written to an address which nobody uses.',
  nests: true,
  facts: {
    trapped: fact<string>(
      'decision',
      'recipient: this mail has gone to a honeypot; client: an earlier one from this address.',
    ),
  },
  settings: {
    recipients: list({ doc: 'Addresses that are honeypots.', fallback: [] }),
    recipients_re: patterns({
      doc: 'Regular expressions for such addresses.',
      unreadable: 'skip',
    }),
    enabled,
    mode: choice(['reject', 'passive'], {
      doc: 'What being trapped means.',
      fallback: 'reject',
      otherwise: 'passive',
    }),
    reject_message: text({ doc: 'Text of the refusal.', fallback: 'trapped by honeypod' }),
    score: optional(number({ doc: 'Points added, unless mode is reject.' })),
    score_field: scoreField,
    expire: seconds(
      { doc: 'How long a client stays trapped.', fallback: 7200 },
      { min: 1, max: LONGEST_SECONDS },
    ),
    memcached: text({
      doc: 'Name of the connection that stores trapped addresses.',
      fallback: 'memcached',
    }),
    this_host: thisHostSetting,
  },
  create(settings, surroundings) {
    const { enabled, mode, reject_message, score, score_field, expire, memcached, this_host } =
      settings
    const { name, path, keyValue, nested, refuse } = surroundings
    const recipients = new Set(settings.recipients.map(address => writtenAddress(address.trim())))
    const patterns = settings.recipients_re
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
      const address = plainValue('client_address', request.text('client_address'))
      if (!enabled(session) || address === '') return undefined
      if (!this_host && isThisHost(request)) return undefined
      const recipient = request.text('recipient')
      const isHoneypot =
        recipients.has(plainAddress(recipient)) ||
        spellings('recipient', recipient).some(one => patterns.some(pattern => pattern.test(one)))
      const trapped = `${path}-trapped-${address}`
      const reactTo = (what: 'recipient' | 'client'): MaybePromise<Outcome> => {
        context.facts.trapped = what
        return react(request, context)
      }
      if (!isHoneypot && session.get(trapped) !== undefined) return reactTo('client')
      const key = `${name},${address}`
      const settled = isHoneypot
        ? store.set(key, '1', expire).then(() => true)
        : store.get(key).then(value => value !== undefined)
      return settled.then(isTrapped => {
        if (!isTrapped) return undefined
        session.set(trapped, 1)
        return reactTo(isHoneypot ? 'recipient' : 'client')
      })
    }
  },
})

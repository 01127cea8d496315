/**
 * Fail2Ban - have fail2ban block the address of the client.
 *
 *   <Plugin very-bad>
 *     module    = "ScoreAction"
 *     threshold = 15
 *     <Plugin ban>
 *       module = "Fail2Ban"
 *       jail   = "postfix"
 *     </Plugin>
 *   </Plugin>
 *
 * Tells fail2ban-server, through its `socket`, to ban the client's address, IPv4 or IPv6, in that
 * jail, once per mail. The plugin never answers. The daemon needs write access to the socket, and the
 * jail must exist; if fail2ban refuses the ban, the plugin has failed.
 *
 * This host is never banned: neither a loopback address nor the address the mail was sent to
 * (`server_address`). fail2ban carries out such a ban even if its `ignoreip` names the address, and
 * Postfix could not reach its filters any more. A client_address that is not an address is ignored as
 * well. With `mode = observe` nobody is banned.
 *
 * A mail waits at most a quarter of a second for fail2ban. If a ban fails later than that, the failure
 * is reported with the next mail.
 *
 * Differences from mtpolicyd
 *
 * - mtpolicyd never read fail2ban's reply, and noticed neither a missing jail nor a restart. Here each
 *   ban has its own connection.
 * - mtpolicyd sent any text and any address, including 127.0.0.1.
 */

import { setTimeout as pause } from 'node:timers/promises'
import { canonicalAddress } from '../net/address.ts'
import { definePlugin } from '../policy/plugin.ts'
import { enabled, text } from '../policy/setting.ts'
import { isThisHost } from '../policy/this-host.ts'

const GRACE_MS = 250

export const fail2ban = definePlugin({
  name: 'Fail2Ban',
  summary: 'Have fail2ban block the address of the client.',
  hasEffects: true,
  settings: {
    socket: text({
      doc: 'The socket of fail2ban-server.',
      fallback: '/var/run/fail2ban/fail2ban.sock',
    }),
    jail: text({ doc: 'Name of the jail.', fallback: 'postfix' }),
    enabled,
  },
  create({ socket, jail, enabled }, { path, jailer, note }) {
    const { ban } = jailer(socket)
    /** The failure of a ban after its mail had stopped waiting; reported with the next mail. */
    let lateFailure: unknown

    return async (request, { session, signal }) => {
      if (!enabled(session)) return undefined
      const address = canonicalAddress(request.text('client_address'))
      if (address === undefined) {
        note(() => 'no client_address to ban')
        return undefined
      }
      // A ban by hand overrides fail2ban's own ignoreip.
      if (isThisHost(request)) {
        note(() => `${address} is this host and is never banned`)
        return undefined
      }
      if (!session.once(`${path}-banned-${address}`)) return undefined
      let isWaitedFor = true
      const banned = ban(jail, address, signal)
      banned.catch(error => {
        if (!isWaitedFor) lateFailure = error
      })
      try {
        await Promise.race([banned, pause(GRACE_MS, undefined, { ref: false })])
      } finally {
        isWaitedFor = false
      }
      const failure = lateFailure
      lateFailure = undefined
      if (failure !== undefined) throw failure
      return undefined
    }
  },
})

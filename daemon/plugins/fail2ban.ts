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
 * jail: once per mail. It never answers. The daemon must be allowed to write to the socket, and the
 * jail must exist; mtpolicyd never read fail2ban's reply and noticed neither that nor a restart.
 * Here each ban has a connection of its own, and a refusal is a failure of the plugin.
 *
 * A mail waits at most a quarter of a second for fail2ban. A ban that fails later than that is
 * reported as a failure with the next mail. An attribute that is no address is not sent: mtpolicyd
 * sent whatever stood there. With `mode = observe` nobody is banned.
 */

import { setTimeout as pause } from 'node:timers/promises'
import { canonicalAddress } from '../policy/address.ts'
import { definePlugin } from '../policy/plugin.ts'
import { perMail, text, toggle } from '../policy/setting.ts'

const GRACE_MS = 250

export const fail2ban = definePlugin({
  name: 'Fail2Ban',
  summary: 'Have fail2ban block the address of the client.',
  settings: {
    socket: text({
      doc: 'The socket of fail2ban-server.',
      fallback: '/var/run/fail2ban/fail2ban.sock',
    }),
    jail: text({ doc: 'Name of the jail.', fallback: 'postfix' }),
    enabled: perMail(toggle({ doc: 'off switches the plugin off.', fallback: true })),
  },
  create({ socket, jail, enabled }, { path, jailer, observe, note }) {
    const { ban } = jailer(socket)
    /** Of a ban that no mail waited for any more. */
    let lateFailure: unknown

    return async (request, { session, signal }) => {
      if (!enabled(session)) return undefined
      const address = canonicalAddress(request.text('client_address'))
      if (address === undefined) {
        note(() => 'no client_address that could be banned')
        return undefined
      }
      if (observe) {
        note(() => `${address} would be banned`)
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

/**
 * alert deliver: sends the mails that the daemon has put into its folder, because its own unit must not start
 * a program that gains privileges. univention-mtpolicyd-mail.path starts it.
 */

import { join } from 'node:path'
import { sendOutgoing } from '../../alerts/delivery/outgoing.ts'
import { sendmailOf } from '../../alerts/delivery/post.ts'
import { sendMail } from '../../alerts/delivery/sendmail.ts'
import { asDaemon } from '../../system/daemon-user.ts'
import { defineCommand } from '../command.ts'

/** sysexits.h, EX_TEMPFAIL: the unit starts it again in a minute. */
const AGAIN = 75

export const alertDeliver = defineCommand({
  name: 'alert deliver',
  group: 'package',
  summary: 'hand waiting alerts by mail to sendmail(1)',
  more: `
    Sends the mails that wait in /var/lib/univention-mtpolicyd/outgoing/. The daemon puts them there
    because systemd does not let it start sendmail(1); univention-mtpolicyd-mail.path notices them
    and runs this command. Exit status 75: some could not be sent, and stay.
  `,
  run: (_values, host) =>
    asDaemon(host.paths.root, async () => {
      const program = sendmailOf(join(host.paths.config, '..'))
      const { MAIL_CONFIG } = host.env
      const env = MAIL_CONFIG === undefined ? {} : { MAIL_CONFIG }
      const { dropped, left } = await sendOutgoing(host.paths.state, host.clock.now, mail =>
        sendMail(program, mail, { env }),
      )
      for (const why of dropped) host.err(`mtpolicyctl: given up: ${why}\n`)
      // One line a minute at most, however many there are.
      if (left.length > 0) host.err(`mtpolicyctl: ${left.length} not sent yet: ${left[0]}\n`)
      return left.length > 0 ? AGAIN : 0
    }),
})

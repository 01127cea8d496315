/** The deliveries that the configuration asks for. */

import type { Delivery, MakeDeliveries } from '../delivery.ts'
import { commandDelivery } from './command.ts'
import { mailDelivery } from './mail.ts'
import { addressesIn } from './mailboxes.ts'
import { postOf } from './post.ts'
import { MailTexts } from './texts.ts'
import { userDelivery } from './user-mail.ts'
import { webhookDelivery } from './webhook.ts'

export const deliveriesOf: MakeDeliveries = (settings, surroundings) => {
  const { language, user, webhook: url, webhookFormat: format, command: program } = settings
  const { etc, hostName, log } = surroundings
  const post = postOf(settings, surroundings)
  const texts = new MailTexts(etc, log)
  const common = { language, hostName }
  const recipients = addressesIn(settings.mail)
  const made: Delivery[] = []
  if (recipients.length > 0) made.push(mailDelivery({ ...common, recipients, post, texts }))
  if (url !== '') made.push(webhookDelivery({ ...common, url, format, etc, now: Date.now }))
  if (program !== '') made.push(commandDelivery({ ...common, program, log }))
  if (user !== 'off') {
    const { defaultDomain } = settings
    const isStolen = (account: string): boolean => surroundings.isStolen?.(account) ?? false
    made.push(userDelivery({ ...common, user, defaultDomain, post, texts, isStolen }))
  }
  return made
}

/** Mail that returns from a content filter causes a second request, without a user name. */

import type { Finding } from '../../policy/finding.ts'
import { CLIENTS } from '../smtpd/client.ts'
import { decide } from '../smtpd/decision.ts'
import type { PostfixInstance } from '../smtpd/instance.ts'
import type { PolicyItem } from '../smtpd/policy-item.ts'
import { isOnLoopback, type Protection } from '../smtpd/protection.ts'
import { whereOf } from './remedies.ts'

export function returnPathFindings(
  instance: PostfixInstance,
  protections: readonly Protection[],
  isOurs: (item: PolicyItem) => boolean,
): Finding[] {
  const filters = ['content_filter', 'smtpd_proxy_filter']
  const isFiltered = protections.some(
    ({ answer, service }) =>
      answer === 'asked' && filters.some(name => service.parameters.value(name) !== ''),
  )
  if (!isFiltered) return []
  return protections.flatMap(({ answer, service }) => {
    const isReturn = answer === 'return path' || answer === 'no logins'
    if (!isReturn || !isOnLoopback(service, instance)) return []
    const { parameters } = service
    // A service that hands mail to the filter is not the one to which it returns.
    if (filters.some(name => parameters.value(name) !== '')) return []
    const { version } = instance
    const { queries } = decide({ parameters, version, isOurs }, CLIENTS.mynetworks)
    const again = queries.find(({ reached }) => reached !== 'no')
    if (!again) return []
    return [
      {
        id: 'asked-twice',
        subject: 'Postfix',
        severity: 'note',
        where: whereOf(again.setting),
        service: service.name,
        what: {
          en: 'mail returning from the content filter causes a second request',
          de: 'Mail, die vom Inhaltsfilter zurückkommt, führt zu einer zweiten Anfrage',
        },
        why: {
          en: 'it has no user name then, so it is not counted again; the request only costs time',
          de: 'sie hat dann keinen Benutzernamen und wird nicht noch einmal gezählt; die Anfrage kostet nur Zeit',
        },
        remedy: {
          en: `no action needed; to save the request, add to ${service.name}: -o ${again.list}=`,
          de: `nichts zu tun; um die Anfrage zu sparen, bei ${service.name} ergänzen: -o ${again.list}=`,
        },
      },
    ]
  })
}

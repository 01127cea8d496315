/**
 * What `register` reports about the services: where mail passes unchecked, and what it leaves
 * alone.
 */

import type { Inspection } from '../findings/findings.ts'
import { END_OF_DATA } from '../smtpd/restriction-list.ts'

export function protectionNotes({ protections, findings }: Inspection): {
  readonly problems: readonly string[]
  readonly notes: readonly string[]
} {
  const problems = findings
    .filter(({ severity, id }) => severity === 'error' || id === 'earlier-policy-may-permit')
    .map(({ service, what }) => (service === '' ? what.en : `${service}: ${what.en}`))
  const notes = protections.flatMap(({ answer, service, isAskedAtEnd, queries }) => {
    if (answer === 'return path') {
      return [`${service.name} receives mail back from a filter on this host; it is left alone`]
    }
    return queries
      .filter(({ list, reached }) => isAskedAtEnd && reached !== 'no' && list !== END_OF_DATA)
      .map(({ list, text }) => `${service.name} also queries the daemon from ${list}: ${text}`)
  })
  // An administrator's item is left as it is; report what it does while the daemon is down.
  const risks = findings
    .filter(({ id }) => id === 'no-default-action')
    .map(({ where, what, why }) => `${where}: ${what.en}: ${why.en}`)
  return { problems: [...new Set(problems)], notes: [...new Set([...notes, ...risks])] }
}

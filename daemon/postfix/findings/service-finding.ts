/** A finding about one service. */

import type { Finding, Severity } from '../../policy/finding.ts'
import type { Protection } from '../smtpd/protection.ts'

/** A finding about one service; if `where` is empty, it points at main.cf. */
export function findingOf(
  { service, instance }: Protection,
  id: string,
  severity: Severity,
  where: string,
  texts: Pick<Finding, 'what' | 'why' | 'remedy'>,
): Finding {
  const at = where || instance.mainCf.file
  return { id, subject: 'Postfix', severity, where: at, service: service.name, ...texts }
}

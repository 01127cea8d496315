/** SPF, RFC 7208. */

import type { Clock } from '../policy/clock.ts'
import type { Resolver } from '../policy/dns.ts'
import { LookupError } from '../policy/errors.ts'
import type { SpfChecker, SpfLimits } from '../policy/spf.ts'

export function spfChecker(_dns: Resolver, _limits: SpfLimits, _clock: Clock): SpfChecker {
  throw new LookupError('not built yet')
}

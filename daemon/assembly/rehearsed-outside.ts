/** The outside as a rehearsal has it: reading works as usual, anything with an effect is left out. */

import { NotRehearsed, peeking, readingOnly } from '../policy/rehearsal.ts'
import type { OpenOutside } from './outside.ts'

export function withoutEffects(outside: OpenOutside): OpenOutside {
  const { services } = outside
  const refuse = (what: string) => (): Promise<never> => Promise.reject(new NotRehearsed(what))
  return {
    ...outside,
    policyService: () => ({ ask: refuse('querying another policy service') }),
    jailer: () => ({ ban: refuse('a ban') }),
    httpPost: refuse('an HTTP request'),
    probeRecipient: refuse('querying another mail server'),
    services: {
      ...services,
      openSql: settings => readingOnly(services.openSql(settings)),
      openMemcached: settings => peeking(services.openMemcached(settings)),
      openRedis: settings => peeking(services.openRedis(settings)),
    },
  }
}

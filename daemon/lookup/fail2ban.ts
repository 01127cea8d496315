/** fail2ban-server. */

import { LookupError } from '../policy/errors.ts'
import type { Jailer } from '../policy/peers.ts'

export function jailer(_socket: string): Jailer {
  throw new LookupError('not built yet')
}

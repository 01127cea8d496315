/** Another policy service. */

import { LookupError } from '../policy/errors.ts'
import type { PolicyService } from '../policy/peers.ts'

export function policyService(
  _endpoint: { readonly host: string } | { readonly socket: string },
): PolicyService {
  throw new LookupError('not built yet')
}

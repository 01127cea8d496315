/** Would that server take mail for this recipient? */

import { LookupError } from '../policy/errors.ts'
import type { RecipientProbe } from '../policy/peers.ts'

export const probeRecipient: RecipientProbe = () => Promise.reject(new LookupError('not built yet'))

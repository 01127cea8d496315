/** One HTTP POST. */

import { LookupError } from '../policy/errors.ts'
import type { HttpPost } from '../policy/peers.ts'

export const httpPost: HttpPost = () => Promise.reject(new LookupError('not built yet'))

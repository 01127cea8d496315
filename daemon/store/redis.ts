/** Redis or Valkey as a key-value store. */

import { LookupError } from '../policy/errors.ts'
import type { ClosableKeyValueStore } from './memcached.ts'

export interface RedisOptions {
  readonly server: string
  readonly sock: string | undefined
  readonly sentinels: readonly string[]
  readonly service: string | undefined
  readonly password: string | undefined
  readonly db: number
}

export function redisStore(_options: RedisOptions): ClosableKeyValueStore {
  throw new LookupError('not built yet')
}

/** memcached as a key-value store. */

import { LookupError } from '../policy/errors.ts'
import type { KeyValueStore } from '../policy/key-value.ts'

export interface MemcachedOptions {
  /** HOST:PORT. */
  readonly servers: readonly string[]
  readonly namespace: string
}

export interface ClosableKeyValueStore extends KeyValueStore {
  close(): void
}

export function memcachedStore(_options: MemcachedOptions): ClosableKeyValueStore {
  throw new LookupError('not built yet')
}

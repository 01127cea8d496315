/** What alerts need of the daemon. */

import type { Finding } from '../policy/finding.ts'
import type { Block } from '../policy/ports/measures.ts'
import type { Clock } from '../system/clock.ts'
import type { AlertSettings, Delivery } from './delivery.ts'

export interface DeskOptions {
  /** The file of the alerts, and the secret by which own mail is known. */
  readonly path: string
  readonly key: string
  readonly state: string
  readonly etc: string
  readonly hostName: string
  readonly clock: Clock
  /** What is wrong with the daemon now; may reject. */
  readonly findings: () => Promise<readonly Finding[]>
  /** Blocks in force. */
  readonly blocks: () => Iterable<Block>
  /** Answered since the daemon started. */
  readonly requests: () => number
  readonly log: (message: string) => void
  /** Instead of those that the settings name: for tests. */
  readonly deliveries?: (settings: AlertSettings) => readonly Delivery[]
}

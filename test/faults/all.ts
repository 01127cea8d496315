/** Every fault, in the order of the table. */

import { clockBack, clockChange, clockForward } from './clock.ts'
import {
  deafReader,
  hugeRequest,
  manyConnections,
  noDescriptors,
  slowWriter,
} from './connections.ts'
import { corrupted } from './corrupted.ts'
import { deletedJournal, deletedWal } from './deleted-files.ts'
import type { Fault } from './fault.ts'
import { fullDisk } from './full-disk.ts'
import { geoipRemoved, geoipSwapped, geoipTruncated } from './geoip.ts'
import { kill } from './kill.ts'
import { locked } from './locked.ts'
import { logPipe } from './log-pipe.ts'
import { memoryLimit } from './memory.ts'
import { readOnly } from './read-only.ts'
import { badReload, hundredReloads } from './reload.ts'
import { restart } from './restart.ts'
import { dnsDead, dnsDeadWithList, storeGone } from './services.ts'
import { stopped } from './stopped.ts'
import { twoDaemons } from './two-daemons.ts'

export const faults: readonly Fault[] = [
  kill,
  restart,
  stopped,
  fullDisk,
  readOnly,
  locked,
  corrupted,
  deletedWal,
  deletedJournal,
  geoipTruncated,
  geoipSwapped,
  geoipRemoved,
  clockBack,
  clockForward,
  clockChange,
  manyConnections,
  noDescriptors,
  hugeRequest,
  slowWriter,
  deafReader,
  badReload,
  hundredReloads,
  memoryLimit,
  dnsDead,
  dnsDeadWithList,
  storeGone,
  logPipe,
  twoDaemons,
]

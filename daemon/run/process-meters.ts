/**
 * What is measured of the process: as the client libraries of Prometheus have it, but with our prefix, so
 * that the collector of node_exporter for text files, which has such metrics of its own, takes them.
 */

import { readdirSync, readFileSync } from 'node:fs'
import type {
  Histogram,
  HistogramDeclaration,
  MeterDeclaration,
  Meters,
} from '../policy/ports/meters.ts'
import type { Cancel, Clock } from '../system/clock.ts'

const START: MeterDeclaration = {
  name: 'process_start_time_seconds',
  unit: 'seconds',
  help: 'When the daemon started, in seconds since 1970.',
}
const RESIDENT: MeterDeclaration = {
  name: 'process_resident_memory_bytes',
  unit: 'bytes',
  help: 'Resident memory of the daemon, all threads together.',
}
const CPU: MeterDeclaration = {
  name: 'process_cpu_seconds',
  unit: 'seconds',
  help: 'CPU time of the daemon, all threads together.',
}
const BUSY: MeterDeclaration = {
  name: 'process_event_loop_busy_seconds',
  unit: 'seconds',
  help: 'Time in which the thread that answers had something to do.',
}
const DESCRIPTORS: MeterDeclaration = {
  name: 'process_open_fds',
  unit: 'descriptors',
  help: 'Open file descriptors.',
}
const ALLOWED_DESCRIPTORS: MeterDeclaration = {
  name: 'process_max_fds',
  unit: 'descriptors',
  help: 'File descriptors that the daemon may open.',
}
const DELAY: HistogramDeclaration = {
  name: 'event_loop_delay_seconds',
  unit: 'seconds',
  help: 'How much later than due a timer ran that is due once a second.',
  // 1 ms to 16 s.
  least: 2 ** -10,
  buckets: 15,
}

const LOOK_MILLISECONDS = 1000

export function measureProcess(meters: Meters, since: Date): void {
  meters.gauge(START, () => since.getTime() / 1000)
  meters.gauge(RESIDENT, () => process.memoryUsage.rss())
  meters.total(CPU, () => {
    const { user, system } = process.cpuUsage()
    return (user + system) / 1e6
  })
  meters.total(BUSY, () => performance.eventLoopUtilization().active / 1000)
  meters.gauge(DESCRIPTORS, () => readdirSync('/proc/self/fd').length)
  meters.gauge(ALLOWED_DESCRIPTORS, () => mostDescriptors())
}

/** Not a number where it is not limited, or not told. */
function mostDescriptors(): number {
  const limits = readFileSync('/proc/self/limits', 'latin1')
  return Number(/^Max open files\s+(\d+)/m.exec(limits)?.[1])
}

/** Measures how late timers run; does not keep the process alive. */
export function measureDelay(meters: Meters, clock: Pick<Clock, 'elapsed' | 'after'>): Cancel {
  const delay: Histogram = meters.histogram(DELAY)
  let cancel: Cancel
  const wait = (): void => {
    const due = clock.elapsed() + LOOK_MILLISECONDS
    cancel = clock.after(LOOK_MILLISECONDS, () => {
      delay.note(Math.max(0, clock.elapsed() - due) / 1000)
      wait()
    })
  }
  wait()
  return () => cancel()
}

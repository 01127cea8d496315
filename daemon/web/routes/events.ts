/**
 * GET events: the daemon's status every two seconds, and verdicts as they are given, thinned. The daemon is asked
 * once, however many consoles are open, and not at all if none is.
 */

import type { WatchedVerdict } from '../../control/control.ts'
import { refusesMail } from '../../policy/verdict.ts'
import type { Cancel } from '../../system/clock.ts'
import type { StatusEvent, VerdictEvent } from '../api.ts'
import { EventHub, eventText } from '../event-stream.ts'
import { events } from '../reply.ts'
import type { MakeRoutes, Services } from '../router.ts'
import { shortStatus } from '../short-status.ts'

const STATUS_MILLISECONDS = 2000
const MOST_PER_SECOND = 20
const AGAIN_MILLISECONDS = 2000

export const eventRoutes: MakeRoutes = services => {
  const feed = new Feed(services)
  return [{ method: 'GET', path: '/api/events', role: 'read', handle: () => events(feed.hub.join) }]
}

class Feed {
  readonly #services: Services
  readonly hub: EventHub
  #ended = new AbortController()
  #cancel: Cancel | undefined
  #lastStatus = ''
  /** Verdicts sent since this second began. */
  #second = 0
  #sent = 0
  #left = 0

  constructor(services: Services) {
    this.#services = services
    this.hub = new EventHub({
      begun: () => this.#begin(),
      ended: () => this.#end(),
      greeting: () => (this.#lastStatus === '' ? [] : [eventText('status', this.#lastStatus)]),
    })
  }

  #begin(): void {
    this.#ended = new AbortController()
    const { signal } = this.#ended
    void this.#tellStatus(signal)
    void this.#tellVerdicts(signal)
  }

  #end(): void {
    this.#ended.abort()
    this.#cancel?.()
    this.#lastStatus = ''
  }

  async #tellStatus(signal: AbortSignal): Promise<void> {
    const { daemon, clock } = this.#services
    const status = await daemon.status().catch(() => undefined)
    if (signal.aborted) return
    const left = this.#left
    this.#left = 0
    const event: StatusEvent = {
      at: clock.now(),
      status: status ? shortStatus(status) : null,
      left,
    }
    this.#lastStatus = JSON.stringify(event)
    this.hub.publish('status', this.#lastStatus)
    this.#cancel = clock.after(STATUS_MILLISECONDS, () => void this.#tellStatus(signal))
  }

  async #tellVerdicts(signal: AbortSignal): Promise<void> {
    const { daemon, clock } = this.#services
    try {
      for await (const { verdict, leftOut } of await daemon.follow('sample', {}, signal)) {
        this.#left += leftOut
        if (verdict) this.#tell(verdict)
      }
    } catch {
      // It is busy, or stopping: the status tells.
    }
    if (signal.aborted) return
    clock.after(AGAIN_MILLISECONDS, () => {
      if (!signal.aborted) void this.#tellVerdicts(signal)
    })
  }

  #tell(verdict: WatchedVerdict): void {
    const now = this.#services.clock.now()
    const second = Math.floor(now / 1000)
    if (second !== this.#second) {
      this.#second = second
      this.#sent = 0
    }
    if (this.#sent >= MOST_PER_SECOND) {
      this.#left++
      return
    }
    this.#sent++
    this.hub.publish('verdict', JSON.stringify(verdictEvent(verdict, now)))
  }
}

/** The fields are those of a log line (mtpolicyd(8)). */
function verdictEvent(fields: WatchedVerdict, at: number): VerdictEvent {
  const text = (name: string): string => String(fields[name] ?? '')
  const action = text('verdict')
  return {
    at,
    account: text('user'),
    client: text('client'),
    country: text('country'),
    recipients: Number(fields.rcpt ?? 0),
    action,
    isRefused: refusesMail(action),
    by: text('by'),
    code: text('code'),
  }
}

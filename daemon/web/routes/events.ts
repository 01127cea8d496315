/**
 * GET events: the daemon's status every two seconds, and verdicts as they are given, thinned by the daemon, which is queried
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
  /** Verdicts sent since the last status. */
  #sent = 0
  /** Requests that the last status has; undefined: there was none. */
  #requests: number | undefined

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
    this.#requests = undefined
  }

  /** Verdicts since the last status that were not told. */
  #leftOut(requests: number | undefined): number {
    const all = (requests ?? 0) - (this.#requests ?? requests ?? 0)
    const left = Math.max(0, all - this.#sent)
    this.#requests = requests
    this.#sent = 0
    return left
  }

  async #tellStatus(signal: AbortSignal): Promise<void> {
    const { daemon, clock } = this.#services
    const status = await daemon.status().catch(() => undefined)
    if (signal.aborted) return
    const left = this.#leftOut(status?.requests)
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
      for await (const verdict of await daemon.follow('watch', { most: MOST_PER_SECOND }, signal)) {
        // What has no client is a test of ours, not mail.
        if (verdict.client !== '') this.#tell(verdict)
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
    this.#sent++
    const event = verdictEvent(verdict, this.#services.clock.now())
    this.hub.publish('verdict', JSON.stringify(event))
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

/** Alerts at work in a test: a policy, a clock that the test turns, and deliveries that note what they get. */

import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Test } from 'tap'
import type { Rules } from '../../daemon/alerts/account-conditions.ts'
import type { Alert } from '../../daemon/alerts/alert.ts'
import {
  type AlertSettings,
  type Delivery,
  DONE,
  type Held,
  type Outcome,
} from '../../daemon/alerts/delivery.ts'
import { AlertDesk } from '../../daemon/alerts/desk.ts'
import type { Finding } from '../../daemon/policy/finding.ts'
import type { Block } from '../../daemon/policy/ports/measures.ts'
import { NO_ALERTS } from './alerts.ts'
import { type VirtualClock, virtualClock } from './virtual-clock.ts'
import { chain, makeWorld, plugin, type World } from './world.ts'

export class NotedDelivery implements Delivery {
  readonly name: string
  readonly batches: Delivery['batches']
  readonly got: (readonly Alert[])[] = []
  /** What it answers from now on. */
  answer: () => Promise<Outcome> = async () => DONE
  tries = 0
  /** What has not left yet. */
  held: () => Held = () => ({ count: 0, oldest: undefined })

  constructor(name: string, batches: Delivery['batches']) {
    this.name = name
    this.batches = batches
  }

  wants(): boolean {
    return true
  }

  async deliver(batch: readonly Alert[]): Promise<Outcome> {
    this.tries++
    const outcome = await this.answer()
    if (outcome.is === 'done') this.got.push(batch)
    return outcome
  }

  get alerts(): readonly Alert[] {
    return this.got.flat()
  }

  /** `raised account-near alice`, in their order. */
  get lines(): readonly string[] {
    return this.alerts.map(({ state, kind, account }) => `${state} ${kind} ${account}`.trim())
  }
}

export interface DeskWorld {
  /** The first one. */
  readonly desk: AlertDesk
  readonly clock: VirtualClock
  readonly world: World
  readonly logged: string[]
  findings: readonly Finding[]
  blocks: readonly Block[]
  requests: number
  /** As after kill -9: another desk with the same file, and these deliveries. */
  again(deliveries: readonly Delivery[]): Promise<AlertDesk>
  readonly path: string
}

export const POLICY = chain(
  plugin('SendingLimit', 'threshold = 10\nwarn_at = 80%', 'limit') +
    plugin('AllowedCountries', 'countries = DE', 'countries'),
)

export const RULES = {
  limits: new Map([
    ['limit', { name: 'limit', unit: 'recipients', window: 'day', per: 'user' } as const],
  ]),
  countries: new Set(['countries']),
}

export const ON: AlertSettings = { ...NO_ALERTS, mail: 'root' }

export async function deskWorld(
  t: Test,
  deliveries: readonly Delivery[],
  options: { readonly path?: string; readonly policy?: string; readonly rules?: Rules } = {},
): Promise<DeskWorld> {
  const folder = mkdtempSync(join(tmpdir(), 'alerts-'))
  const clock = virtualClock()
  const path = options.path ?? join(folder, 'alerts.log')
  const logged: string[] = []
  let seen: Pick<DeskWorld, 'findings' | 'blocks' | 'requests'> = {
    findings: [],
    blocks: [],
    requests: 0,
  }
  let desk: AlertDesk
  const opened: AlertDesk[] = []
  const open = async (given: readonly Delivery[]): Promise<AlertDesk> => {
    desk = await AlertDesk.open(
      {
        path,
        key: join(folder, 'alerts.key'),
        state: folder,
        etc: folder,
        hostName: 'mail.example.org',
        clock,
        findings: async () => seen.findings,
        blocks: () => seen.blocks,
        requests: () => seen.requests,
        log: message => void logged.push(message),
        deliveries: () => given,
      },
      options.rules ?? RULES,
      ON,
    )
    opened.push(desk)
    return desk
  }
  desk = await open(deliveries)
  const world = await makeWorld(options.policy ?? POLICY, {
    clock,
    sinks: [record => desk.note(record)],
    isOwn: request => desk.isOwn?.(request) ?? false,
  })
  t.teardown(async () => {
    world.close()
    const stops = opened.map(one => one.stop())
    await clock.advance(5000)
    await Promise.all(stops)
    rmSync(folder, { recursive: true, force: true })
  })
  const shown: DeskWorld = {
    findings: [],
    blocks: [],
    requests: 0,
    desk,
    clock,
    world,
    logged,
    path,
    again: open,
  }
  seen = shown
  return shown
}

/** Waits, in real time, for what files and promises bring about. */
export async function until(holds: () => boolean): Promise<void> {
  for (let tries = 0; tries < 2000; tries++) {
    if (holds()) return
    await sleep(5)
  }
  throw new Error('it did not come about')
}

let messages = 0

/** What becomes of a message, at its end. */
export async function send(
  { world }: DeskWorld,
  user: string,
  recipients: number,
  more: Readonly<Record<string, string>> = {},
): Promise<string | undefined> {
  return await world.ask({
    protocol_state: 'END-OF-MESSAGE',
    instance: `alerts.${messages++}`,
    sasl_username: user,
    sender: 'somebody@sender.example',
    client_address: '198.51.100.7',
    recipient_count: String(recipients),
    size: '1000',
    ...more,
  })
}

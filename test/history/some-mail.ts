/** Verdicts about mail that tests make up, and a history to note them in. */

import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Test } from 'tap'
import { silentLog } from '../../daemon/assembly/configuration.ts'
import { OpenHistory } from '../../daemon/history/history.ts'
import { Hearing } from '../../daemon/policy/hearing.ts'
import { LedgerEvents } from '../../daemon/policy/ledger-event.ts'
import { PolicyRequest } from '../../daemon/policy/request.ts'
import { VerdictRecord } from '../../daemon/policy/verdict-record.ts'
import { type Clock, systemClock } from '../../daemon/system/clock.ts'

export interface Mail {
  readonly user?: string
  readonly instance?: string
  readonly stage?: string
  readonly recipients?: number
  readonly size?: number
  readonly client?: string
  readonly clientName?: string
  readonly country?: string
  readonly queueId?: string
  readonly action?: string | undefined
  readonly by?: string
  readonly code?: string
  readonly more?: Readonly<Record<string, string>>
}

let instances = 0

/** What is not given is usual: a message to one recipient that is accepted. */
export function verdict(clock: Clock, mail: Mail): VerdictRecord {
  const attributes = new Map(
    Object.entries({
      request: 'smtpd_access_policy',
      protocol_state: mail.stage ?? 'END-OF-MESSAGE',
      instance: mail.instance ?? `made.${++instances}.0`,
      queue_id: mail.queueId ?? '4dQ1bk0vPnz2',
      client_address: mail.client ?? '192.0.2.7',
      client_name: mail.clientName ?? 'mail.example.net',
      sasl_username: mail.user ?? 'alice',
      recipient_count: String(mail.recipients ?? 1),
      size: String(mail.size ?? 1000),
      ...mail.more,
    }),
  )
  const request = new PolicyRequest(attributes, { id: 1, endpoint: '12345' })
  const options = {
    log: silentLog,
    clock,
    isTraced: false,
    events: new LedgerEvents(),
    ledger: undefined,
    cannotTakeBack: () => undefined,
  }
  const hearing = new Hearing(options, request, 'default', 0)
  const { country = 'DE' } = mail
  Object.assign(hearing.facts, { country })
  const action = 'action' in mail ? mail.action : 'dunno'
  const decided = action === undefined ? undefined : { action, by: mail.by ?? '' }
  const names = { client: [], decision: [] }
  return new VerdictRecord(clock, hearing, decided, action, 'decided', names, mail.code ?? '')
}

export const folder = (t: Test): string => {
  const path = mkdtempSync(join(tmpdir(), 'history-'))
  t.teardown(() => rmSync(path, { recursive: true, force: true }))
  return path
}

/** In a folder of its own, or in one where another was. */
export function openHistory(
  t: Test,
  {
    path = join(folder(t), 'history.sqlite'),
    clock = systemClock,
    days = 90,
  }: { readonly path?: string; readonly clock?: Clock; readonly days?: number } = {},
): OpenHistory & { readonly path: string } {
  const history = new OpenHistory({ path, clock, days, failed: () => undefined })
  t.teardown(() => history.close())
  return Object.assign(history, { path })
}

/** Until it is true. */
export async function until(isTrue: () => boolean | Promise<boolean>): Promise<void> {
  while (!(await isTrue())) await sleep(10)
}

/** What the daemon can be told to do or report: each of control/control.ts with the file that does it. */

import type { Control } from '../../control/control.ts'
import { daemonFindings } from '../../control/daemon-findings.ts'
import type { DaemonStatus } from '../../control/protocol.ts'
import type { Generation } from '../generation.ts'
import type { Parts } from '../parts.ts'
import { accountReport } from './account-report.ts'
import { explain } from './explain.ts'
import { forget } from './forget.ts'
import { hoursOf } from './hours.ts'
import { neededHistory } from './kept-history.ts'
import { MeasureOrders } from './measure-orders.ts'
import { accountsOffered, codesOffered } from './offered.ts'
import { Pace } from './pace.ts'
import { refusalList } from './refusal-list.ts'
import { series } from './series.ts'
import { topSenders } from './top.ts'
import { webCommands } from './web.ts'
import { why } from './why.ts'

/** The daemon, as its commands see it. */
export interface Commanded {
  /** A configuration is in force; rejects if it comes to none. */
  readonly started: Promise<void>
  readonly parts: Parts
  /** To be called once it is started. */
  inForce(): Generation
  status(): Promise<DaemonStatus>
  reload(): Promise<readonly string[]>
}

export function controlOf({ started, parts, inForce, status, reload }: Commanded): Control {
  const measured = async <T>(work: (orders: MeasureOrders) => T): Promise<Awaited<T>> => {
    await started
    const { clock, measures, slot } = parts
    const { loaded } = inForce().assembly
    return await work(new MeasureOrders({ clock, book: measures, ledger: slot.ledger, loaded }))
  }
  return {
    status: async () => {
      await started
      return status()
    },
    reload,
    watch: ({ user, client, most }, signal) => {
      const pace = most === undefined ? undefined : new Pace(parts.clock, most)
      return parts.verdicts.subscribe(
        signal,
        verdict => {
          const isWanted =
            (user === undefined || user === verdict.user) &&
            (client === undefined || client === verdict.client)
          if (isWanted) pace?.note()
          return isWanted
        },
        pace && (() => pace.isOpen),
      )
    },
    requests: ({ client, port }, signal) =>
      parts.requests.subscribe(
        signal,
        ({ attributes }) =>
          (client === undefined || client === attributes.client_address) &&
          (port === undefined || port === attributes.client_port),
      ),
    explain: async given => {
      await started
      return explain(inForce(), given)
    },
    why: async given => {
      await started
      return why(inForce(), parts.history(), given)
    },
    order: given => measured(orders => orders.order(given)),
    release: given => measured(orders => orders.release(given)),
    reset: given => measured(orders => orders.reset(given)),
    measures: given => measured(orders => orders.list(given)),
    endedMeasures: given => measured(orders => orders.listEnded(given)),
    top: async given => {
      await started
      return topSenders(parts.history(), given, parts.clock.now())
    },
    user: async ({ name }) => {
      await started
      return accountReport(inForce(), parts, name)
    },
    accounts: ({ prefix }) => {
      const measured = parts.measures.inForce(parts.clock.now()).map(({ account }) => account)
      return accountsOffered(parts.history(), measured, prefix)
    },
    codes: ({ prefix }) => codesOffered(parts.history(), prefix),
    forget: ({ account }) => forget(parts, account),
    hours: given => hoursOf(parts.history(), given),
    findings: async () => {
      await started
      return daemonFindings(await status())
    },
    alerts: ({ most }) => parts.alerts.list(most),
    alertTest: async ({ by }) => {
      await started
      return await parts.alerts.test(by)
    },
    ...webCommands(parts.web),
    series: async given => {
      await started
      return series(inForce(), parts.history(), given)
    },
    countries: ({ since, until }) => neededHistory(parts.history()).countries(since, until),
    refusalList: async given => {
      await started
      return refusalList(inForce(), parts.history(), given)
    },
  }
}

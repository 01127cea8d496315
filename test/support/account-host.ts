/**
 * A host whose daemon is a real configuration behind a real control socket, with a history that the test
 * makes up: for what mtpolicyctl shows of accounts.
 */

import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Test } from 'tap'
import { silentLog } from '../../daemon/assembly/configuration.ts'
import { pathsBelow } from '../../daemon/assembly/paths.ts'
import { daemonClient } from '../../daemon/cli/daemon-client.ts'
import type { Host } from '../../daemon/cli/host.ts'
import { serveControl } from '../../daemon/control/server.ts'
import { openLedger } from '../../daemon/ledger/ledger.ts'
import { openSqliteLedger } from '../../daemon/ledger/sqlite-ledger.ts'
import { countryPool } from '../../daemon/lookup/country-pool.ts'
import type { History } from '../../daemon/policy/ports/history.ts'
import {
  type AccountMeasures,
  type Measures,
  noMeasures,
} from '../../daemon/policy/ports/measures.ts'
import { PolicyRequest } from '../../daemon/policy/request.ts'
import { accountReport } from '../../daemon/run/commands/account-report.ts'
import { accountsOffered, codesOffered } from '../../daemon/run/commands/offered.ts'
import { topSenders } from '../../daemon/run/commands/top.ts'
import { makeEngine } from '../../daemon/run/engine.ts'
import { Generation } from '../../daemon/run/generation.ts'
import { systemClock } from '../../daemon/system/clock.ts'
import { runCommand } from './command.ts'
import { idleControl } from './idle-control.ts'
import { NOON, PORT } from './world.ts'

export interface Said {
  readonly status: number
  readonly out: string
  readonly err: string
}

export interface AccountHost {
  readonly root: string
  /** Accepted mail of an account, a message for each number. */
  send(account: string, ...recipients: readonly number[]): Promise<void>
  /** Runs mtpolicyctl. */
  say(...argv: readonly string[]): Promise<Said>
}

export interface AccountHostOptions {
  readonly history?: History | undefined
  /** What is in force, by account. */
  readonly measures?: Readonly<Record<string, AccountMeasures>>
  readonly screen?: Host['screen']
  readonly env?: NodeJS.ProcessEnv
}

export async function accountHost(
  t: Test,
  text: string,
  options: AccountHostOptions = {},
): Promise<AccountHost> {
  const root = mkdtempSync(join(tmpdir(), 'accounts-'))
  const paths = pathsBelow(root)
  const clock = { ...systemClock, now: () => NOON }
  const store = openSqliteLedger(':memory:', 'normal')
  const ledger = openLedger(store)
  const generation = await Generation.prepare(
    { file: 'test.conf', text, origin: 'file', notices: [] },
    {
      paths,
      clock,
      ledger,
      measures: noMeasures,
      dns: {
        ask: () => ({ outcome: 'empty', records: [], exists: false }),
        noListing: () => undefined,
      },
      countries: countryPool(() => undefined),
      log: () => silentLog,
    },
  )
  const { loaded } = generation.assembly
  const answer = makeEngine({ loaded, clock, log: silentLog, sinks: [] })
  const history = (): History | undefined => options.history
  const measures: Measures = {
    isEmpty: options.measures === undefined,
    of: account => options.measures?.[account],
  }
  const server = await serveControl(paths.control, {
    ...idleControl,
    top: given => topSenders(history(), given, clock.now()),
    user: ({ name }) => accountReport(generation, { history, measures, clock }, name),
    accounts: ({ prefix }) =>
      accountsOffered(history(), Object.keys(options.measures ?? {}), prefix),
    codes: ({ prefix }) => codesOffered(history(), prefix),
  })
  t.teardown(() => {
    server.close()
    generation.close()
    store.close()
    rmSync(root, { recursive: true })
  })
  let instances = 0
  return {
    root,
    async send(account, ...recipients) {
      for (const count of recipients) {
        const attributes = {
          protocol_state: 'END-OF-MESSAGE',
          instance: `a.${instances++}`,
          sasl_username: account,
          recipient_count: String(count),
        }
        const request = new PolicyRequest(new Map(Object.entries(attributes)), {
          id: 1,
          endpoint: PORT,
        })
        const judged = await answer(request)
        await ledger.settle()
        judged.left(true)
        if (judged.verdict.action !== 'dunno') throw new Error(judged.verdict.action)
      }
    },
    async say(...argv) {
      let out = ''
      let err = ''
      const status = await runCommand(argv, {
        root,
        clock,
        env: options.env ?? {},
        screen: options.screen,
        out: text => {
          out += text
        },
        err: text => {
          err += text
        },
        daemon: daemonClient(paths.control),
      }).catch((error: Error) => {
        err += `mtpolicyctl: ${error.message}\n`
        return 1
      })
      return { status, out, err }
    },
  }
}

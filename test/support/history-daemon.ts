/**
 * A daemon in the test's own process that keeps a history in memory, below a folder of its own, and
 * `mtpolicyctl` for it, through its control socket.
 */

import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Test } from 'tap'
import { findConfiguration } from '../../daemon/assembly/configuration.ts'
import { type Paths, pathsBelow } from '../../daemon/assembly/paths.ts'
import { daemonClient } from '../../daemon/cli/daemon-client.ts'
import { Daemon } from '../../daemon/run/daemon.ts'
import { describeError } from '../../daemon/system/errors.ts'
import { runCommand } from './command.ts'
import { askPort, type Finished } from './daemon.ts'
import { freePort } from './free-port.ts'
import { type RefusalHistory, refusalHistory } from './refusal-history.ts'

export interface HistoryDaemonOptions {
  /** Host variables from which the configuration is rendered. */
  readonly variables?: Readonly<Record<string, string>>
  /** Instead of the rendered one: what stands within its <VirtualHost>, and in front of that. */
  readonly plugins?: string
  readonly globals?: string
  /** False: none is kept. */
  readonly hasHistory?: boolean
}

export interface HistoryDaemon {
  readonly daemon: Daemon
  readonly paths: Paths
  readonly port: number
  readonly history: RefusalHistory
  /** The action. */
  ask(attributes: Readonly<Record<string, string>>): Promise<string | undefined>
  ctl(...argv: string[]): Promise<Finished>
  /** Waits until a refusal has its steps. */
  explained(code: string): Promise<void>
}

export async function historyDaemon(
  t: Test,
  { variables, plugins, globals = '', hasHistory = true }: HistoryDaemonOptions = {},
): Promise<HistoryDaemon> {
  const root = mkdtempSync(join(tmpdir(), 'history-'))
  t.teardown(() => rmSync(root, { recursive: true, force: true }))
  const paths = pathsBelow(root)
  const port = await freePort()
  mkdirSync(paths.state, { recursive: true })
  const ctl = async (...argv: string[]): Promise<Finished> => {
    let stdout = ''
    let stderr = ''
    const err = (text: string): void => {
      stderr += text
    }
    const status = await runCommand(argv, {
      root,
      out: text => {
        stdout += text
      },
      err,
      daemon: daemonClient(paths.control),
    }).catch(error => {
      // As cli/main.ts says it.
      err(`mtpolicyctl: ${describeError(error)}\n`)
      return 1
    })
    return { status, stdout, stderr }
  }
  if (plugins === undefined) {
    const settings = Object.entries({
      'mtpolicyd/alert/mail': 'none',
      ...variables,
      'mtpolicyd/port': String(port),
      'mtpolicyd/maillog': 'none',
    })
    const set = await ctl('set', ...settings.map(([name, value]) => `${name}=${value}`))
    if (set.status !== 0) throw new Error(set.stderr)
  } else {
    mkdirSync(dirname(paths.config), { recursive: true })
    const text = `port = "127.0.0.1:${port}"\nmaillog = none\n${globals}\n<VirtualHost ${port}>\nname = mine\n${plugins}\n</VirtualHost>\nhistory_days = 90\n`
    writeFileSync(paths.config, text)
  }
  const history = refusalHistory()
  const daemon = await Daemon.start({
    paths,
    source: () => findConfiguration(paths, undefined),
    debug: 0,
    priorities: false,
    control: true,
    supervisor: {
      isPresent: false,
      sockets: [],
      ready: () => undefined,
      reloading: () => undefined,
      stopping: () => undefined,
    },
    history: () => (hasHistory ? history : undefined),
  })
  t.teardown(() => daemon.stop(1000))
  return {
    daemon,
    paths,
    port,
    history,
    ask: async attributes => (await askPort(port, attributes))?.replace(/^action=/, ''),
    ctl,
    async explained(code) {
      for (let tries = 0; tries < 1500; tries++) {
        if (history.kept.some(one => one.code === code && one.steps)) return
        await sleep(20)
      }
      throw new Error(`${code} has no steps`)
    },
  }
}

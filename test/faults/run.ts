/** One fault on a daemon under load: what was answered, how late, and what was lost. */

import { spawn } from 'node:child_process'
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { dist, freePort, runProgram } from '../support/daemon.ts'
import { ledgerSums } from '../support/ledger-sums.ts'
import { startTinySystemd, type TinySystemd } from '../support/tiny-systemd.ts'
import type { Fault, Scene } from './fault.ts'
import type { Phase } from './load.ts'

export interface Outcome {
  readonly name: string
  readonly asked: number
  /** Requests that Postfix would have decided by itself, with default_action. */
  readonly unanswered: number
  readonly retried: number
  /** Answered with something else than dunno. */
  readonly others: number
  /** Milliseconds: the slowest answer since the fault began, less the median before it. */
  readonly addedDelay: number
  /** Let through and not in the ledger. */
  readonly lost: number
  /** In words, what is not as it should be; empty if all is well. Delays are judged apart. */
  readonly complaints: readonly string[]
}

export interface RunOptions {
  readonly isShort: boolean
  readonly clients?: number
}

const BEFORE_MILLISECONDS = 1500
const AFTER_MILLISECONDS = 1500
const FLOWS = 'flows\n'
/** As RestartSec= of our unit. */
const RESTART_MILLISECONDS = 300

export async function runFault(
  fault: Fault,
  { isShort, clients = 16 }: RunOptions,
): Promise<Outcome> {
  const root = mkdtempSync(join(tmpdir(), 'fault-'))
  const port = await freePort()
  const variables = {
    'mtpolicyd/port': String(port),
    'mtpolicyd/threshold': '1000000',
    ...fault.variables,
  }
  const ctl = (...argv: string[]) => runProgram(join(dist, 'mtpolicyctl'), '--root', root, ...argv)
  const set = await ctl('set', ...Object.entries(variables).map(pair => pair.join('=')))
  if (set.status !== 0) throw new Error(`${fault.name}: ${set.stderr}`)
  const state = join(root, 'var/lib/univention-mtpolicyd')
  mkdirSync(state, { recursive: true })
  const env = { ...fault.env }
  const undo: (() => void | Promise<void>)[] = []
  let systemd: TinySystemd | undefined
  const said = (): string => systemd?.said ?? ''

  const scene: Scene = {
    root,
    state,
    ledger: join(state, 'ledger.sqlite'),
    port,
    isShort,
    env,
    get pid() {
      return Number([...said().matchAll(/^started (\d+)$/gm)].at(-1)?.[1])
    },
    async endAndAwaitNext(signal) {
      const before = said().length
      process.kill(scene.pid, signal)
      await systemd?.hear('READY=1', before)
    },
    untilReady: async times => systemd?.hearTimes('READY=1', times),
    deafen: isDeaf => systemd?.deafen(isDeaf),
    ctl,
    status: async () => (await ctl('status', '--json')).stdout,
    async logged(pattern) {
      for (let tries = 0; tries < 1500; tries++) {
        if (pattern.test(said())) return true
        await sleep(20)
      }
      return false
    },
    later: one => void undo.unshift(one),
  }

  const shortly = (milliseconds: number): number => (isShort ? milliseconds / 5 : milliseconds)
  try {
    await fault.prepare?.(scene)
    if (fault.config) {
      writeFileSync(join(root, 'etc/univention-mtpolicyd/mtpolicyd.conf'), fault.config(scene))
    }
    systemd = startTinySystemd(root, [`127.0.0.1:${port}`], ['--root', root, '-f'], {
      restartMilliseconds: RESTART_MILLISECONDS,
      env,
    })
    systemd.start()
    await systemd.hear('READY=1')
    const load = startLoad(port, clients)
    await load.flows
    await sleep(shortly(BEFORE_MILLISECONDS))
    load.phase('during')
    await fault.strike(scene)
    await sleep(shortly(AFTER_MILLISECONDS))
    const complaint = await fault.after?.(scene)
    const phases = await load.end()
    const ends = said().split(/^ended /m).length - 1
    systemd.stop()
    await systemd.hearTimes('\nended ', ends + 1)
    const passed = phases.reduce((sum, phase) => sum + phase.passed, 0)
    const counted = existsSync(scene.ledger) ? sumOf(ledgerSums(scene.ledger)) : 0
    const [before, during] = phases
    if (!before || !during) throw new Error('the load has not begun')
    const total = (of: 'asked' | 'unanswered' | 'retried' | 'others'): number =>
      phases.reduce((sum, phase) => sum + phase[of], 0)
    const lost = Math.max(0, passed - counted)
    const complaints = complaint === undefined ? [] : [complaint]
    if (total('unanswered') > 0 && fault.maySilence === undefined)
      complaints.push(`${total('unanswered')} requests without an answer`)
    if (total('others') > 0) complaints.push(`${total('others')} other answers than dunno`)
    if (lost > 0 && fault.mayLose === undefined) complaints.push(`${lost} counts lost`)
    return {
      name: fault.name,
      asked: total('asked'),
      unanswered: total('unanswered'),
      retried: total('retried'),
      others: total('others'),
      addedDelay: Math.max(0, during.worst - before.median),
      lost,
      complaints,
    }
  } finally {
    await systemd?.end()
    for (const one of undo) await one()
    rmSync(root, { recursive: true, force: true })
  }
}

function startLoad(port: number, clients: number) {
  const script = join(import.meta.dirname, 'load.ts')
  const child = spawn(process.execPath, [script, port, clients, 5].map(String), {
    stdio: ['pipe', 'pipe', 'inherit'],
  })
  let said = ''
  const { promise: flows, resolve: itFlows } = Promise.withResolvers<void>()
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    said += text
    if (said.startsWith(FLOWS)) itFlows()
  })
  const ended = new Promise<void>(resolve => child.once('close', () => resolve()))
  void ended.then(itFlows)
  return {
    /** Each client has had its first answer. */
    flows,
    phase: (name: string) => void child.stdin.write(`phase ${name}\n`),
    async end(): Promise<Phase[]> {
      child.stdin.write('end\n')
      await ended
      // The line is written by load.ts, one Phase after the other.
      return JSON.parse(said.slice(FLOWS.length)) as Phase[]
    },
  }
}

function sumOf(sums: ReadonlyMap<string, number>): number {
  return [...sums.values()].reduce((sum, used) => sum + used, 0)
}

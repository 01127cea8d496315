/**
 * `mtpolicyctl postfix register|unregister|status [--config-dir DIR]… [--json]`
 *
 * Puts the daemon's item into Postfix's end-of-data list, takes it back exactly, or shows what
 * Postfix asks now. Exit 0: done, or nothing to do; 1: refused or failed, and for `status` that
 * Postfix does not ask; 64: usage. Human text fits 80 columns except where a path does not.
 *
 * `mtpolicyctl postfix follow [KEY]…` is for hooks: the daemon's endpoint has changed, or these
 * variables of Postfix's lists were just set in UCR. It says something only if it changed something.
 */

import { parseArgs } from 'node:util'
import type { Run } from '../postfix/external-program.ts'
import { inspect, type PostfixStatus } from '../postfix/inspect.ts'
import { follow, type RegistrationResult, register, unregister } from '../postfix/register.ts'
import type { UcrAccess } from '../postfix/registration.ts'
import type { Endpoint } from '../postfix/restriction-list.ts'
import { wrap } from './wrap.ts'

export interface PostfixCommandIo {
  readonly out: (text: string) => void
  readonly err: (text: string) => void
  readonly run: Run
  /** From `mtpolicyd/host` and `mtpolicyd/port`. */
  readonly endpoint: Endpoint
  readonly stateFile: string
  /** Instances when no --config-dir is given; absent: Postfix's primary one. */
  readonly configDirs?: readonly string[]
  /** Where UCR is the registry. */
  readonly ucr?: UcrAccess
}

const USAGE = `usage: mtpolicyctl postfix register|unregister|status
           [--config-dir DIR]... [--json]

  register     ask the daemon at the end of every message (main.cf)
  unregister   take that back, byte for byte
  status       what Postfix asks now; exit 1 if it does not ask the daemon
  --config-dir DIR   another Postfix instance than the primary one; repeatable
`

const HEADLINES: Readonly<Record<RegistrationResult['outcome'], string>> = {
  registered: 'registered, asked at the end of every message',
  already: 'already registered, nothing changed',
  unregistered: 'unregistered, no longer asked',
  nothing: 'nothing of ours to take back',
  'no-postfix': 'no Postfix to register with',
  refused: 'not registered',
  failed: 'failed, nothing changed',
}

export async function postfixCommand(
  argv: readonly string[],
  io: PostfixCommandIo,
): Promise<0 | 1 | 64> {
  const parsed = parse(argv)
  if (typeof parsed === 'string') {
    io.err(`mtpolicyctl postfix: ${parsed}\n${USAGE}`)
    return 64
  }
  if (parsed.help) {
    io.out(USAGE)
    return 0
  }
  const configDirs = parsed.configDirs ?? io.configDirs
  const { run, endpoint, stateFile, ucr } = io
  const options = {
    run,
    endpoint,
    stateFile,
    ...(configDirs ? { configDirs } : {}),
    ...(ucr ? { ucr } : {}),
  }
  if (parsed.verb === 'status') {
    const instances = await inspect(options)
    io.out(parsed.json ? json(instances) : instances.map(statusText).join('\n'))
    return instances.every(({ item }) => item !== undefined) ? 0 : 1
  }
  const results =
    parsed.verb === 'follow'
      ? (await follow(options, parsed.keys)).filter(isNews)
      : await (parsed.verb === 'register' ? register : unregister)(options)
  if (parsed.json) io.out(json(results))
  else for (const result of results) (result.ok ? io.out : io.err)(resultText(result))
  return results.every(({ ok }) => ok) ? 0 : 1
}

/** A hook runs often; where nothing had to be done nothing is said. */
function isNews({ outcome, reasons }: RegistrationResult): boolean {
  return !['already', 'nothing', 'no-postfix'].includes(outcome) || reasons.length > 0
}

function parse(argv: readonly string[]) {
  try {
    const { values, positionals } = parseArgs({
      args: [...argv],
      allowPositionals: true,
      options: {
        'config-dir': { type: 'string', multiple: true },
        json: { type: 'boolean', default: false },
        help: { type: 'boolean', short: 'h', default: false },
      },
    })
    const [verb, ...more] = positionals
    const { json, help } = values
    const configDirs = values['config-dir']
    if (help) return { verb: 'status', json, help, configDirs, keys: [] } as const
    if (verb === 'follow') return { verb, json, help, configDirs, keys: more } as const
    if (more.length > 0) return `unexpected “${more[0]}”`
    if (verb === 'register' || verb === 'unregister' || verb === 'status') {
      return { verb, json, help, configDirs, keys: [] } as const
    }
    return verb === undefined ? 'expected register, unregister or status' : `unknown “${verb}”`
  } catch (error) {
    if (!(error instanceof TypeError)) throw error
    return error.message.split('\n')[0] ?? 'wrong usage'
  }
}

function resultText(result: RegistrationResult): string {
  const lines = [`${result.configDir}: ${HEADLINES[result.outcome]}`]
  if (result.item) lines.push(...field('item', result.item))
  if (result.outcome === 'registered' || result.outcome === 'unregistered') {
    lines.push(...field('Postfix', result.reloaded ? 'reloaded' : 'not running, not started'))
  }
  for (const variable of result.variables ?? []) {
    lines.push(...field(variable.includes('=') ? 'ucr set' : 'ucr unset', variable))
  }
  for (const reason of result.reasons) lines.push(...field(result.ok ? 'note' : 'why', reason))
  if (result.lineToAdd) {
    // Indented lines continue the first, so this can be pasted as it is.
    const [first = '', ...rest] = wrap(result.lineToAdd, 72)
    lines.push('', first, ...rest.map(line => `    ${line}`), '')
  }
  for (const note of result.notes) lines.push(...field('note', note))
  return `${lines.join('\n')}\n`
}

function statusText(status: PostfixStatus): string {
  if (status.absent) return `${status.configDir}: ${status.absent}\n`
  const running = status.isRunning ? 'running' : 'not running'
  const lines = [`${status.configDir}: Postfix ${status.version}, ${running}`]
  const missing = `not in ${status.parameter}: mtpolicyctl postfix register`
  lines.push(...field('item', status.item ?? missing))
  if (status.staleItem) lines.push(...field('old item', `${status.staleItem}: register again`))
  if (status.item) {
    lines.push(...field('put there', status.isRecorded ? 'by mtpolicyctl' : 'by somebody else'))
  }
  for (const { name, authenticates, asks } of status.services) {
    const words = [asks ? 'asks' : 'does not ask', authenticates ? 'users log in' : 'no logins']
    lines.push(...field(name, words.join(', ')))
  }
  for (const note of status.notes) lines.push(...field('note', note))
  return `${lines.join('\n')}\n`
}

function field(name: string, text: string): string[] {
  const label = `  ${name.padEnd(10)} `
  const [first = '', ...rest] = wrap(text, 80 - label.length)
  return [label + first, ...rest.map(line => ' '.repeat(label.length) + line)]
}

function json(value: unknown): string {
  return `${JSON.stringify(value, null, 2)}\n`
}

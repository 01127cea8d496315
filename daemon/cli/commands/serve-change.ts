/**
 * serve-change: sets variables for the console, whose user may not. Root runs it, by systemd, one for each
 * connection to a socket that only the daemon's user may open: one JSON request on standard input, one line of JSON
 * as the answer.
 *
 *   {"command": "set", "changes": {NAME: VALUE | null, ...}, "by": WHO}
 *   {"command": "undo", "id": ID, "by": WHO}
 *   → {"ok": true, "change": {id, at, by, values, undone}, "notices": [{severity, message}]}
 *   → {"ok": false, "status": 400 | 409, "error": TEXT}
 */

import { formatNotice, type Notice } from '../../policy/problem.ts'
import { commitVariables } from '../../registry/commit.ts'
import { type ConsoleChange, consoleChanges, keepChange } from '../../registry/console-changes.ts'
import { type Changes, checkChanges, UnfitChange } from '../../registry/console-variables.ts'
import type { Registry, Snapshot } from '../../registry/registry.ts'
import { describeError } from '../../system/errors.ts'
import { printable } from '../../text/columns.ts'
import { defineCommand } from '../command.ts'
import type { Host } from '../host.ts'
import { commitOptions, scopeFor } from '../registry-command.ts'

const LONGEST_REQUEST = 1024 * 1024
const LONGEST_BY = 100

type Answer =
  | { readonly ok: true; readonly change: ConsoleChange; readonly notices: readonly Notice[] }
  | { readonly ok: false; readonly status: 400 | 409 | 500; readonly error: string }

/** Something has changed since. */
class Overtaken extends Error {}

export const serveChange = defineCommand({
  name: 'serve-change',
  group: 'package',
  summary: 'set variables for the console',
  more: 'Reads one request of the console as JSON on standard input, and answers it.',
  async run(_, host) {
    host.out(`${JSON.stringify(await answer(host))}\n`)
    return 0
  },
})

async function answer(host: Host): Promise<Answer> {
  try {
    const registry = host.registry.open()
    if (registry.disabled) throw new UnfitChange('the registry of this host is disabled')
    const { command, changes, id, by } = readRequest(host.read('-'))
    if (command === 'set') return await set(host, registry, checkChanges(registry, changes), by)
    if (command === 'undo') return await undo(host, registry, id, by)
    throw new UnfitChange('expected the command set or undo')
  } catch (error) {
    const status = error instanceof Overtaken ? 409 : error instanceof UnfitChange ? 400 : 500
    return { ok: false, status, error: describeError(error) }
  }
}

function readRequest(text: string) {
  if (text.length > LONGEST_REQUEST) throw new UnfitChange('the request is too long')
  let request: unknown
  try {
    request = JSON.parse(text)
  } catch {
    throw new UnfitChange('the request is not JSON')
  }
  if (typeof request !== 'object' || request === null) throw new UnfitChange('expected an object')
  const { command, changes, id, by }: Readonly<Record<string, unknown>> = { ...request }
  if (typeof by !== 'string' || by === '') throw new UnfitChange('it is not told who wants it')
  return { command, changes, id, by: printable(by).slice(0, LONGEST_BY) }
}

async function set(host: Host, registry: Registry, changes: Changes, by: string): Promise<Answer> {
  const { before, notices } = await commit(host, registry, () => changes)
  const values = [...changes].map(([name, after]) => ({
    name,
    before: before.get(name) ?? null,
    after,
  }))
  const at = host.clock.now()
  const id = `${at.toString(36)}-${Math.floor(Math.random() * 36 ** 6).toString(36)}`
  const change = { id, at, by, values, undone: false }
  keepChange(registry, change)
  return { ok: true, change, notices }
}

async function undo(host: Host, registry: Registry, id: unknown, by: string): Promise<Answer> {
  const change = consoleChanges(registry).find(one => one.id === id)
  if (!change) throw new UnfitChange('there is no such change')
  if (change.undone) throw new Overtaken('it has been undone already')
  const { notices } = await commit(host, registry, before => {
    for (const { name, after } of change.values) {
      if ((before.get(name) ?? null) === after) continue
      throw new Overtaken(`${name} has been changed since`)
    }
    return checkChanges(
      registry,
      Object.fromEntries(change.values.map(({ name, before }) => [name, before])),
    )
  })
  const undone = { ...change, undone: true, undoneBy: by }
  keepChange(registry, undone)
  return { ok: true, change: undone, notices }
}

/** `changesOf`: called with what is set in the layer, under the registry's lock. Throws UnfitChange if it is refused. */
async function commit(
  host: Host,
  registry: Registry,
  changesOf: (before: ReadonlyMap<string, string>) => Changes,
): Promise<{
  readonly before: ReadonlyMap<string, string>
  readonly notices: readonly Notice[]
}> {
  const scope = scopeFor(registry)
  let before: ReadonlyMap<string, string> = new Map()
  const decide = (snapshot: Snapshot) => {
    before = snapshot.layers.find(layer => layer.scope === scope)?.values ?? new Map()
    const changes = [...changesOf(before)].map(
      ([name, value]) => [name, value ?? undefined] as const,
    )
    return { scope, changes: new Map(changes) }
  }
  const result = await commitVariables(commitOptions(host, registry), decide)
  const { refused, notices, ucr } = result
  if (refused) throw new UnfitChange(notices.map(formatNotice).join('\n'))
  if (ucr !== undefined && ucr.status !== 0) throw new UnfitChange(ucr.stderr.trim())
  return { before, notices }
}

/**
 * Who reads of a server beside its rounds, as processes of their own: consoles (consoles.ts), and an administrator who asks
 * (asker.ts).
 */

import { execFileSync } from 'node:child_process'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import type { Asked } from './asker.ts'
import type { Consoled } from './consoles.ts'
import { type Contestant, startServer } from './contest.ts'

export interface Readers<Done> {
  readonly contestant: Contestant
  /** Ends them: what they have seen. */
  end(): Promise<Done>
}

export interface ReadersOptions {
  readonly dist: string
  /** The daemon's `--root`. */
  readonly root: string
  /** Where its console listens. */
  readonly port: number
  readonly consoles: number
}

/** Resolves when each has had its first event. */
export async function openConsoles({
  dist,
  root,
  port,
  consoles,
}: ReadersOptions): Promise<Readers<Consoled>> {
  const line = execFileSync(join(dist, 'mtpolicyctl'), ['--root', root, 'web', 'login', '--json'], {
    encoding: 'utf8',
  })
  // The command's own output (its manual): {url, minutes}.
  const { url } = JSON.parse(line) as { readonly url: string }
  const token = /#login=(.+)$/.exec(url)?.[1]
  if (token === undefined) throw new Error(`this is no login link: ${url}`)
  return startReaders('consoles', [String(port), token, String(consoles)])
}

/** Resolves when the first questions are answered. */
export function openAsker(root: string, users: number): Promise<Readers<Asked>> {
  return startReaders('asker', [root, String(users)])
}

async function startReaders<Done>(name: string, args: readonly string[]): Promise<Readers<Done>> {
  const contestant = await startServer(name, args)
  const { stdout } = contestant.process
  if (!stdout) throw new Error(`${name} prints nothing`)
  const printed = text(stdout)
  return {
    contestant,
    async end() {
      contestant.process.removeAllListeners('exit')
      contestant.process.kill('SIGTERM')
      // The program's own output.
      return JSON.parse(await printed) as Done
    },
  }
}

/** The consoles beside a server (consoles.ts), a process of their own, so that they read during rounds as well. */

import { execFileSync } from 'node:child_process'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import type { Consoled } from './consoles.ts'
import { type Contestant, startServer } from './contest.ts'

export interface Readers {
  readonly contestant: Contestant
  /** All that it prints from now on. */
  readonly printed: Promise<string>
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
}: ReadersOptions): Promise<Readers> {
  const line = execFileSync(join(dist, 'mtpolicyctl'), ['--root', root, 'web', 'login', '--json'], {
    encoding: 'utf8',
  })
  // The command's own output (its manual): {url, minutes}.
  const { url } = JSON.parse(line) as { readonly url: string }
  const token = /#login=(.+)$/.exec(url)?.[1]
  if (token === undefined) throw new Error(`this is no login link: ${url}`)
  const contestant = await startServer('consoles', [String(port), token, String(consoles)])
  const { stdout } = contestant.process
  if (!stdout) throw new Error('the consoles print nothing')
  return { contestant, printed: text(stdout) }
}

export async function closeConsoles({ contestant, printed }: Readers): Promise<Consoled> {
  contestant.process.removeAllListeners('exit')
  contestant.process.kill('SIGTERM')
  // Written by consoles.ts.
  return JSON.parse(await printed) as Consoled
}

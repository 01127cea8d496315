/** Postfix on this host, or below another root, as what looks at it or changes it takes it. */

import { join } from 'node:path'
import type { Paths } from '../assembly/paths.ts'
import type { DaemonStatus } from '../control/protocol.ts'
import { listenersInTheWay } from '../net/listeners.ts'
import type { RegistrationOptions, UcrAccess } from '../postfix/registration/registration.ts'
import { readListener } from '../postfix/smtpd/endpoint.ts'
import { withLock } from '../registry/lock.ts'
import { wantsRegistration } from '../registry/registration-wish.ts'
import { openRegistry, type Registry } from '../registry/registry.ts'
import { makeStateFolder } from '../system/daemon-user.ts'
import { runProgram } from '../system/external-program.ts'

/** `status`: of the running daemon, which knows best where it listens. */
export function postfixOf(paths: Paths, status?: DaemonStatus | string): RegistrationOptions {
  const listeners =
    typeof status === 'object' ? status.endpoints.flatMap(text => readListener(text) ?? []) : []
  const registry = openRegistry({ root: paths.root, env: process.env })
  const values = registry.values()
  const host = values.get('mtpolicyd/host') ?? 'localhost'
  const port = Number(values.get('mtpolicyd/port') ?? 12345)
  return {
    run: runProgram,
    endpoint: { host, port },
    stateFile: `${paths.state}/postfix.json`,
    ...(listeners.length > 0 ? { listeners } : {}),
    isListening: (host, port) => listenersInTheWay({ host, port }).length > 0,
    locked: work => {
      makeStateFolder(paths.root, paths.state)
      return withLock(join(paths.state, '.postfix.lock'), work)
    },
    // Below another root there is another Postfix, or none: the host's own is not ours to change.
    ...(paths.root === '/' ? {} : { configDirs: [`${paths.root}/etc/postfix`] }),
    ...(registry.ucr === undefined ? {} : { ucr: ucrAccess(registry, registry.ucr) }),
  }
}

function ucrAccess(registry: Registry, program: string): UcrAccess {
  const mayComplete = wantsRegistration(registry)
  return { program, root: registry.root, view: () => registry.snapshot(), mayComplete }
}

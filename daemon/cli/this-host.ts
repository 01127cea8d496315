/** The host this program runs on, or one whose files are below another root. */

import { existsSync, readFileSync } from 'node:fs'
import { checkAsDaemon, checkStaged, checkTextAsDaemon } from '../assembly/configuration.ts'
import type { Paths } from '../assembly/paths.ts'
import { checkReach } from '../diagnosis/check-reach.ts'
import { checkStages } from '../diagnosis/check-stages.ts'
import { postfixOf } from '../diagnosis/postfix-of-host.ts'
import { follow } from '../postfix/registration/register.ts'
import type { RegistrationOptions } from '../postfix/registration/registration.ts'
import { openRegistry, type Registry } from '../registry/registry.ts'
import { systemClock } from '../system/clock.ts'
import { runProgram } from '../system/external-program.ts'
import { askPassword } from './ask-password.ts'
import { daemonClient } from './daemon-client.ts'
import type { DaemonClient, Host, RegistryAccess } from './host.ts'
import { pastAccess } from './past-access.ts'
import { reloadIfRunning } from './reload-if-running.ts'
import { type Screen, showLive } from './screen.ts'
import { checkDropIn, takeEffect } from './take-effect.ts'

export function thisHost(
  paths: Paths,
  { out, err, flushed, isTerminal }: Pick<Host, 'out' | 'err' | 'flushed' | 'isTerminal'>,
): Host {
  const daemon = daemonClient(paths.control)
  return {
    paths,
    env: process.env,
    clock: systemClock,
    out,
    err,
    screen: process.stdout.isTTY ? ownTerminal : undefined,
    flushed,
    isTerminal,
    past: pastAccess(paths),
    read: file => readFileSync(file === '-' ? 0 : file, 'utf8'),
    askPassword,
    run: runProgram,
    daemon,
    registry: registryAccess(paths, daemon, err),
    configuration: {
      async check(file) {
        const verdict = await checkAsDaemon(paths, file)
        const options = postfixOf(paths, await daemon.status())
        const late = await checkStages(verdict.file, options)
        return { ...verdict, problems: [...verdict.problems, ...late] }
      },
      checkText: (file, text) => checkTextAsDaemon(paths, file, text),
      async onDisk() {
        if (!existsSync(paths.config)) return []
        return checkTextAsDaemon(paths, paths.config, readFileSync(paths.config, 'utf8'))
      },
    },
    postfix: status => postfixOf(paths, status),
  }
}

/** Standard input is opened when it is needed: others read it whole. */
const ownTerminal: Screen = {
  show: (draw, milliseconds) => showLive(process.stdin, process.stdout, draw, milliseconds),
}

const openHere = (paths: Paths): Registry => openRegistry({ root: paths.root, env: process.env })

function registryAccess(
  paths: Paths,
  daemon: DaemonClient,
  err: (text: string) => void,
): RegistryAccess {
  // Where the daemon is before anything changes: what queries it there has to follow.
  let before: RegistrationOptions | undefined
  const beforehand = (): RegistrationOptions => {
    before ??= postfixOf(paths)
    return before
  }
  return {
    open() {
      beforehand()
      return openHere(paths)
    },
    names: () => openHere(paths).snapshot().merged.keys(),
    templates: paths.templates,
    check: async (staged, target) => [
      ...(await checkStaged(paths, staged, target, checkTextAsDaemon)),
      ...(await checkDropIn(staged, target, { root: paths.root })),
      ...(await checkReach(staged, target, beforehand())),
    ],
    reload: changed =>
      takeEffect(changed, {
        root: paths.root,
        isBooted: isBooted(),
        run: runProgram,
        reload: () => reloadIfRunning({ daemon, err }),
        follow: async () =>
          follow({ ...postfixOf(paths, await daemon.status()), was: [beforehand().endpoint] }),
        err,
      }),
  }
}

/** sd_booted(3) */
const isBooted = (): boolean => existsSync('/run/systemd/system')

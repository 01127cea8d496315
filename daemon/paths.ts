/**
 * Where things lie. `--root DIR` moves all of it below DIR, so that any number of daemons run side
 * by side without privileges; what comes with the program lies beside the program.
 */

import { existsSync } from 'node:fs'
import { join, resolve } from 'node:path'

export interface Paths {
  readonly root: string
  readonly config: string
  /** Plugins of the operator's own. */
  readonly plugins: string
  readonly state: string
  readonly ledger: string
  readonly run: string
  readonly control: string
  readonly templates: string
  /** The GeoIP databases of the host and of the program; the first that exists is used. */
  readonly countries: readonly string[]
  /** The addon that speaks to systemd, of a bundle or of the sources. */
  readonly notifiers: readonly string[]
}

/** The program's folder: of a bundle, or above the sources. */
const program =
  [import.meta.dirname, join(import.meta.dirname, '..')].find(folder =>
    existsSync(join(folder, 'templates')),
  ) ?? import.meta.dirname

export function pathsBelow(root: string): Paths {
  const below = (path: string): string => join(resolve(root), path)
  const state = below('var/lib/univention-mtpolicyd')
  const run = below('run/univention-mtpolicyd')
  return {
    root: resolve(root),
    config: below('etc/univention-mtpolicyd/mtpolicyd.conf'),
    plugins: below('etc/univention-mtpolicyd/plugins'),
    state,
    ledger: join(state, 'ledger.sqlite'),
    run,
    control: join(run, 'control.sock'),
    templates: join(program, 'templates'),
    countries: [
      join(state, 'country.mmdb'),
      join(program, 'country.mmdb'),
      join(program, 'dist/country.mmdb'),
    ],
    notifiers: [join(program, 'notify.node'), join(program, 'dist/notify.node')],
  }
}

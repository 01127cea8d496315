/**
 * Where files are. `--root DIR` moves all of them below DIR, so that any number of daemons can run side by
 * side without privileges; what comes with the program is beside the program.
 */

import { existsSync } from 'node:fs'
import { join, resolve } from 'node:path'

export interface Paths {
  readonly root: string
  readonly config: string
  /** The operator's own plugins. */
  readonly plugins: string
  readonly state: string
  readonly ledger: string
  /** The verdicts that were given; the spool of this file is beside it. */
  readonly history: string
  readonly measures: string
  /** Alerts that were told or wait to be; the secret by which their mails are known. */
  readonly alerts: string
  readonly alertKey: string
  /** The administrator's files of this package. */
  readonly etc: string
  readonly run: string
  readonly control: string
  /** Where root sets variables for the console (univention-mtpolicyd-change.socket). */
  readonly change: string
  readonly templates: string
  /** Where Postfix's log may be: files, and folders of systemd's journal. */
  readonly mailLogs: { readonly files: readonly string[]; readonly journals: readonly string[] }
  /** The GeoIP databases of the host and of the program; the first that exists is used. */
  readonly countries: readonly string[]
  /** The addon that talks to systemd: of a bundle, or of the sources. */
  readonly notifiers: readonly string[]
}

/** The program's folder: the bundle's, or the one above the sources. */
const program =
  [import.meta.dirname, join(import.meta.dirname, '../..')].find(folder =>
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
    history: join(state, 'history.sqlite'),
    measures: join(state, 'measures.json'),
    alerts: join(state, 'alerts.log'),
    alertKey: join(state, 'alerts.key'),
    etc: below('etc/univention-mtpolicyd'),
    run,
    control: join(run, 'control.sock'),
    change: below('run/univention-mtpolicyd-change.sock'),
    templates: join(program, 'templates'),
    mailLogs: {
      files: [below('var/log/mail.log'), below('var/log/maillog')],
      // There is one for the whole host, so a daemon below a folder of its own has none.
      journals: resolve(root) === '/' ? ['/var/log/journal', '/run/log/journal'] : [],
    },
    countries: [
      join(state, 'country.mmdb'),
      join(program, 'country.mmdb'),
      join(program, 'dist/country.mmdb'),
    ],
    notifiers: [join(program, 'notify.node'), join(program, 'dist/notify.node')],
  }
}

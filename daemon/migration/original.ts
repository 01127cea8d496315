/** Where Debian's mtpolicyd has its files, and where ours of them go. */

import { dirname, join } from 'node:path'
import type { Paths } from '../assembly/paths.ts'

/** Both are deleted when that package is purged. */
export const CONFIG_FOLDER = '/etc/mtpolicyd'
export const STATE_FOLDER = '/var/lib/mtpolicyd'
export const CONFIG = `${CONFIG_FOLDER}/mtpolicyd.conf`

/** Below our root, unless it is there already. */
export function below({ root }: Paths, path: string): string {
  return root !== '/' && isInside(root, path) ? path : join(root, path)
}

export function isInside(folder: string, path: string): boolean {
  return path.startsWith(folder.endsWith('/') ? folder : `${folder}/`)
}

/** The copies of files that the configuration includes or names. */
export const keptFolder = (paths: Paths): string => join(dirname(paths.config), 'from-mtpolicyd')

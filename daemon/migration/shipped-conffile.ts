/** Whether somebody has changed the original's configuration since its package brought it. */

import { createHash } from 'node:crypto'
import { join } from 'node:path'
import type { Paths } from '../assembly/paths.ts'
import type { Run } from '../system/external-program.ts'

/** By dpkg's own record. A configuration that is as shipped is nobody's decision. */
export async function isChangedConffile(
  { root }: Pick<Paths, 'root'>,
  text: string,
  run: Run,
): Promise<boolean> {
  const database = join(root, 'var/lib/dpkg')
  // biome-ignore lint/suspicious/noTemplateCurlyInString: dpkg-query's own placeholder
  const show = ['--show', '--showformat=${Conffiles}', 'mtpolicyd']
  const { stdout } = await run(['dpkg-query', `--admindir=${database}`, ...show])
  const shipped = /^ ?\/etc\/mtpolicyd\/mtpolicyd\.conf ([0-9a-f]{32})/m.exec(stdout)?.[1]
  return shipped !== createHash('md5').update(text).digest('hex')
}

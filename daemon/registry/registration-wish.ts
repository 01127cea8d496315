/** Whether the package may change Postfix's configuration by itself. */

import type { Registry } from './registry.ts'
import { truth } from './value-types.ts'

export function wantsRegistration(registry: Registry): boolean {
  return truth(registry.values().get('mtpolicyd/postfix/register')) !== false
}

/**
 * The commands of mtpolicyctl, in the order of --help and of the manual. A new one is a file in
 * commands/ and a line here; help, manual and completion follow.
 */

import type { Command } from './command.ts'
import { check } from './commands/check.ts'
import { commit } from './commands/commit.ts'
import { doctor } from './commands/doctor.ts'
import { dump } from './commands/dump.ts'
import { explain } from './commands/explain.ts'
import { geoipUpdate } from './commands/geoip-update.ts'
import { get } from './commands/get.ts'
import { info } from './commands/info.ts'
import { postfixFollow } from './commands/postfix-follow.ts'
import { postfixRegister } from './commands/postfix-register.ts'
import { postfixStatus } from './commands/postfix-status.ts'
import { postfixUnregister } from './commands/postfix-unregister.ts'
import { ready } from './commands/ready.ts'
import { reload } from './commands/reload.ts'
import { replay } from './commands/replay.ts'
import { search } from './commands/search.ts'
import { set } from './commands/set.ts'
import { shell } from './commands/shell.ts'
import { status } from './commands/status.ts'
import { suggest } from './commands/suggest.ts'
import { takeover } from './commands/takeover.ts'
import { ucrRemove } from './commands/ucr-remove.ts'
import { ucrSetup } from './commands/ucr-setup.ts'
import { unset } from './commands/unset.ts'
import { update } from './commands/update.ts'
import { watch } from './commands/watch.ts'

export const commands: readonly Command[] = [
  status,
  doctor,
  watch,
  explain,
  replay,
  suggest,
  check,
  reload,
  set,
  unset,
  get,
  search,
  info,
  dump,
  shell,
  commit,
  update,
  postfixRegister,
  postfixUnregister,
  postfixStatus,
  ready,
  takeover,
  geoipUpdate,
  postfixFollow,
  ucrSetup,
  ucrRemove,
]

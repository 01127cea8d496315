/**
 * The commands of mtpolicyctl, under each heading in the order of --help and of the manual. A new one is a file in
 * commands/ and a line here; help, manual and completion follow.
 */

import type { Command } from './command.ts'
import { alertDeliver } from './commands/alert-deliver.ts'
import { alertList } from './commands/alert-list.ts'
import { alertSecret } from './commands/alert-secret.ts'
import { alertTest } from './commands/alert-test.ts'
import { allow } from './commands/allow.ts'
import { block } from './commands/block.ts'
import { check } from './commands/check.ts'
import { commit } from './commands/commit.ts'
import { complete } from './commands/complete.ts'
import { doctor } from './commands/doctor.ts'
import { dump } from './commands/dump.ts'
import { explain } from './commands/explain.ts'
import { forget } from './commands/forget.ts'
import { geoipUpdate } from './commands/geoip-update.ts'
import { get } from './commands/get.ts'
import { info } from './commands/info.ts'
import { limit } from './commands/limit.ts'
import { measures } from './commands/measures.ts'
import { metrics } from './commands/metrics.ts'
import { postfixFollow } from './commands/postfix-follow.ts'
import { postfixRegister } from './commands/postfix-register.ts'
import { postfixStatus } from './commands/postfix-status.ts'
import { postfixUnregister } from './commands/postfix-unregister.ts'
import { ready } from './commands/ready.ts'
import { release } from './commands/release.ts'
import { reload } from './commands/reload.ts'
import { replay } from './commands/replay.ts'
import { reset } from './commands/reset.ts'
import { search } from './commands/search.ts'
import { serveChange } from './commands/serve-change.ts'
import { set } from './commands/set.ts'
import { shell } from './commands/shell.ts'
import { status } from './commands/status.ts'
import { suggest } from './commands/suggest.ts'
import { takeover } from './commands/takeover.ts'
import { testMessage } from './commands/test-message.ts'
import { top } from './commands/top.ts'
import { ucrRemove } from './commands/ucr-remove.ts'
import { ucrSetup } from './commands/ucr-setup.ts'
import { unset } from './commands/unset.ts'
import { update } from './commands/update.ts'
import { user } from './commands/user.ts'
import { watch } from './commands/watch.ts'
import { webLogin } from './commands/web-login.ts'
import { webOff } from './commands/web-off.ts'
import { webOn } from './commands/web-on.ts'
import { webToken } from './commands/web-token.ts'
import { why } from './commands/why.ts'

export const commands: readonly Command[] = [
  status,
  doctor,
  top,
  user,
  why,
  measures,
  watch,
  alertList,
  alertTest,
  metrics,
  block,
  release,
  allow,
  limit,
  reset,
  forget,
  explain,
  replay,
  suggest,
  testMessage,
  check,
  set,
  unset,
  get,
  search,
  info,
  alertSecret,
  reload,
  dump,
  shell,
  commit,
  update,
  webOn,
  webOff,
  webLogin,
  webToken,
  postfixRegister,
  postfixUnregister,
  postfixStatus,
  ready,
  complete,
  takeover,
  geoipUpdate,
  postfixFollow,
  ucrSetup,
  ucrRemove,
  alertDeliver,
  serveChange,
]

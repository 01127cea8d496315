/** A real Postfix, a daemon that it asks, and `mtpolicyctl test-message`. */

import { spawnSync } from 'node:child_process'
import { join } from 'node:path'
import type { Test } from 'tap'
import { dist, type Finished, type InstalledDaemon, installDaemon } from './daemon.ts'
import { createPostfixRig, type PostfixRig } from './postfix-rig.ts'

interface TestMessageSetup {
  readonly rig: PostfixRig
  readonly daemon: InstalledDaemon
  /** With this on standard input. */
  send(password: string, ...argv: string[]): Finished
  json(password: string, ...argv: string[]): ReturnType<typeof JSON.parse>
}

export async function startTestMessages(
  t: Test,
  variables: Readonly<Record<string, string>> = {},
): Promise<TestMessageSetup> {
  const rig = await createPostfixRig()
  t.teardown(() => rig.remove())
  const daemon = await installDaemon({
    'mtpolicyd/maillog': join(rig.directory, 'mail.log'),
    ...variables,
  })
  t.teardown(() => daemon.remove())
  rig.set(`smtpd_end_of_data_restrictions = check_policy_service inet:127.0.0.1:${daemon.port}`)
  await rig.start()
  await daemon.start()
  const send = (input: string, ...argv: string[]): Finished => {
    const words = ['--root', daemon.root, 'test-message', '--config-dir', rig.configDirectory]
    const { status, stdout, stderr } = spawnSync(join(dist, 'mtpolicyctl'), [...words, ...argv], {
      encoding: 'utf8',
      input,
    })
    return { status: status ?? 255, stdout, stderr }
  }
  return {
    rig,
    daemon,
    send,
    json: (password, ...argv) => JSON.parse(send(password, ...argv, '--json').stdout),
  }
}

/** As an administrator's terminal shows it. */
export function fits(t: Test, { stdout }: Finished): void {
  const wide = stdout.split('\n').filter(line => line.length > 80 && !/^ {2}post/.test(line))
  t.strictSame(wide, [], 'it fits 80 columns')
  t.notMatch(stdout, /[^\n\x20-\x7e]/, 'nothing controls the terminal')
}

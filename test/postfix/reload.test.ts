/** Whether Postfix has read its files since they changed. */

import fs from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import t from 'tap'
import { isAbsent, readInstance } from '../../daemon/postfix/smtpd/instance.ts'
import { runProgram } from '../../daemon/system/external-program.ts'
import { createPostfixRig, postfixRigMissing } from '../support/postfix-rig.ts'

const skip = postfixRigMissing()

t.test(
  'a file that Postfix has not read again is reported, whatever its date',
  { skip },
  async t => {
    const rig = await createPostfixRig()
    t.teardown(() => rig.remove())
    const look = async () => {
      const instance = await readInstance(runProgram, rig.configDirectory)
      if (isAbsent(instance)) throw new Error(instance.reason)
      return { isRunning: instance.isRunning, changed: instance.changedSinceReload }
    }
    t.strictSame(
      await look(),
      { isRunning: false, changed: [] },
      'if nothing runs, nothing is outdated',
    )
    await rig.start()
    t.strictSame(await look(), { isRunning: true, changed: [] })

    await sleep(200)
    fs.copyFileSync(rig.masterCf, `${rig.masterCf}.new`)
    fs.utimesSync(`${rig.masterCf}.new`, new Date(0), new Date(0))
    fs.renameSync(`${rig.masterCf}.new`, rig.masterCf)
    t.strictSame((await look()).changed, [rig.masterCf], 'restored with an old date')
    await sleep(200)
    await rig.reload()
    t.strictSame((await look()).changed, [])

    fs.rmSync(`${rig.directory}/queue/pid/master.pid`)
    t.strictSame(await look(), { isRunning: true, changed: [] }, 'found without its pid file')
    fs.writeFileSync(`${rig.directory}/queue/pid/master.pid`, `${pidOf(rig.configDirectory)}\n`)
  },
)

function pidOf(configDirectory: string): string {
  const pids = fs.readdirSync('/proc').filter(name => /^\d+$/.test(name))
  return (
    pids.find(pid => {
      try {
        const environment = fs.readFileSync(`/proc/${pid}/environ`, 'latin1')
        const name = fs.readFileSync(`/proc/${pid}/comm`, 'latin1').trim()
        return name === 'master' && environment.includes(`MAIL_CONFIG=${configDirectory}\0`)
      } catch {
        return false
      }
    }) ?? ''
  )
}

import { copyFileSync, cpSync, renameSync, rmSync, truncateSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { dist } from '../support/daemon.ts'
import type { Fault, Scene } from './fault.ts'

const original = join(dist, 'country.mmdb')
/** The administrator's own file lies beside the state. */
const ownFile = ({ root }: Scene): string => join(root, 'own.mmdb')

const own = {
  mostDelay: 50,
  async prepare(scene: Scene): Promise<void> {
    cpSync(original, ownFile(scene))
    const set = await scene.ctl('set', `mtpolicyd/geoip/database=${ownFile(scene)}`)
    if (set.status !== 0) throw new Error(set.stderr)
  },
} as const

/** The daemon looks at the file now and then. */
const UNTIL_SEEN = 2500

export const geoipTruncated: Fault = {
  name: 'GeoIP file truncated',
  ...own,
  async strike(scene) {
    truncateSync(ownFile(scene), 100_000)
    await sleep(UNTIL_SEEN)
  },
  after: async ({ logged }) => ((await logged(/own\.mmdb/)) ? undefined : 'nothing was said'),
}

export const geoipSwapped: Fault = {
  name: 'GeoIP file swapped under load',
  ...own,
  async strike(scene) {
    for (let time = 0; time < (scene.isShort ? 3 : 10); time++) {
      copyFileSync(original, `${ownFile(scene)}.new`)
      renameSync(`${ownFile(scene)}.new`, ownFile(scene))
      await sleep(UNTIL_SEEN / 5)
    }
  },
}

export const geoipRemoved: Fault = {
  name: 'GeoIP file removed',
  ...own,
  async strike(scene) {
    rmSync(ownFile(scene))
    await sleep(UNTIL_SEEN)
  },
}

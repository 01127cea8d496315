import { join } from 'node:path'
import { dist, type Finished, runProgram } from '../support/daemon.ts'
import type { Fault } from './fault.ts'

let second: Finished | undefined

export const twoDaemons: Fault = {
  name: 'two daemons on one state directory',
  mostDelay: 50,
  async strike({ root }) {
    second = await runProgram(join(dist, 'mtpolicyd'), '--root', root, '-f')
  },
  after() {
    if (second?.status === 1 && /in use by another daemon/.test(second.stderr)) return undefined
    return `the second was not refused by name: ${second?.status} ${second?.stderr}`
  },
}

import { join } from 'node:path'
import { dist, runProgram } from '../support/daemon.ts'
import type { Fault } from './fault.ts'

let refusal = { status: 0, stderr: '' }

export const twoDaemons: Fault = {
  name: 'two daemons on one state',
  mostDelay: 50,
  async strike({ root }) {
    refusal = await runProgram(join(dist, 'mtpolicyd'), '--root', root, '-f')
  },
  after() {
    if (refusal.status !== 0 && /in use by another daemon/.test(refusal.stderr)) return undefined
    return `the second daemon was not refused by name: ${refusal.status} ${refusal.stderr}`
  },
}

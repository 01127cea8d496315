/**
 * A port for a server of a test.
 *
 * Not from the range that the kernel takes for outgoing connections (32768 and up): between our
 * choice and the server's bind, another test's client could get it. Seen with Postfix, which then
 * does not start.
 */

import { randomInt } from 'node:crypto'
import { createServer } from 'node:net'

const LOWEST = 15_000
const HIGHEST = 32_000
/** Test files that run at the same time choose from different ports. */
const JOBS = 4
const job = Number(process.env.TAP_JOB_ID ?? 0) % JOBS

const COUNT = Math.floor((HIGHEST - LOWEST) / JOBS)

/** Counts up: a port that was given to one server, which may not listen yet, is not given to another. */
let given = randomInt(COUNT)

/** A port of 127.0.0.1 and ::1 that was free a moment ago, and that this process has not had before. */
export async function freePort(): Promise<number> {
  for (;;) {
    const port = LOWEST + (++given % COUNT) * JOBS + job
    if ((await isFree(port, '127.0.0.1')) && (await isFree(port, '::1'))) return port
  }
}

function isFree(port: number, host: string): Promise<boolean> {
  return new Promise(resolve => {
    const server = createServer()
    server.once('error', error =>
      // Without IPv6 there is nobody to have taken it there.
      resolve('code' in error && error.code !== 'EADDRINUSE'),
    )
    server.listen(port, host, () => server.close(() => resolve(true)))
  })
}

/**
 * Loaded before a program (`node --import`) that must not reach anything outside: every connection, datagram and
 * name that it tries is told on standard error, and fails. Files and other programs are the business of
 * `node --permission`.
 */

import dgram from 'node:dgram'
import dns from 'node:dns'
import { Socket } from 'node:net'

/** Begins each line. */
const TRIED = 'TRIED'

function refuse(what: string) {
  return (): never => {
    process.stderr.write(`${TRIED} ${what}\n`)
    throw new Error(`${what} is not allowed here`)
  }
}

Socket.prototype.connect = refuse('a connection')
dgram.createSocket = refuse('a datagram')
dns.lookup = Object.assign(refuse('a name'), dns.lookup)

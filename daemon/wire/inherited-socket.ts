/**
 * To what a listening socket is bound that somebody else opened (sd_listen_fds(3)).
 *
 * Node tells the address of a TCP socket; the path of a unix socket stands in /proc (proc(5)).
 */

import { readFileSync, readlinkSync } from 'node:fs'
import type { Server } from 'node:net'
import { bindingName } from './endpoint.ts'

/** Its binding name, or what can be said about it instead. */
export function boundAddress(server: Server, fd: number): string {
  const address = server.address()
  if (address !== null && typeof address === 'object') {
    return bindingName({ kind: 'tcp', host: address.address, port: address.port })
  }
  const path = unixPath(fd)
  return path === undefined ? `descriptor ${fd}` : bindingName({ kind: 'unix', path })
}

function unixPath(fd: number): string | undefined {
  try {
    const inode = /^socket:\[(\d+)\]$/.exec(readlinkSync(`/proc/self/fd/${fd}`))?.[1]
    for (const line of readFileSync('/proc/self/net/unix', 'utf8').split('\n')) {
      // Num RefCount Protocol Flags Type St Inode Path; a path may have blanks.
      const [, found, path] = /^\S+: (?:\S+ +){5}(\d+) (.+)$/.exec(line) ?? []
      if (found === inode && path !== undefined) return path
    }
  } catch {
    // Without /proc there is no way to tell, and the socket is not used.
  }
  return undefined
}

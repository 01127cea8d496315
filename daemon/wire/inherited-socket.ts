/**
 * Where an inherited listening socket is bound (sd_listen_fds(3)).
 *
 * Node knows the address of a TCP socket; the path of a unix socket is in /proc (proc(5)).
 */

import { readFileSync, readlinkSync } from 'node:fs'
import type { Server } from 'node:net'
import { bindingName } from '../net/endpoint.ts'

/** Its binding name, or a description where that is unknown. */
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
      // Num RefCount Protocol Flags Type St Inode Path; a path may have spaces.
      const [, found, path] = /^\S+: (?:\S+ +){5}(\d+) (.+)$/.exec(line) ?? []
      if (found === inode && path !== undefined) return path
    }
  } catch {
    // Without /proc the path is unknown, and the socket is not used.
  }
  return undefined
}

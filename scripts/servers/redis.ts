/** Redis on a port and a socket. It keeps nothing on disk, so it loses all data when it stops. */

import type { ServerKind } from './server.ts'

export const redis: ServerKind = {
  package: 'redis-server',
  programs: ['redis-server'],
  user: 'redis',
  command: ({ folder, port, socket, program }) => [
    program('redis-server'),
    ...['--port', `${port}`, '--bind', '127.0.0.1', '--unixsocket', socket, '--dir', folder],
    ...['--save', '', '--appendonly', 'no', '--repl-diskless-sync-delay', '0'],
  ],
}

/** memcached. It loses all data when it stops. */

import type { ServerKind } from './server.ts'

export const memcached: ServerKind = {
  package: 'memcached',
  programs: ['memcached'],
  user: 'memcache',
  // An orderly stop takes a second, and there is nothing to save.
  stopSignal: 'SIGKILL',
  command: ({ port, program }) => [
    program('memcached'),
    ...['-l', '127.0.0.1', '-p', `${port}`, '-U', '0'],
  ],
}

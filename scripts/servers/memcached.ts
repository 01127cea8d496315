/** memcached. It forgets everything when it stops. */

import type { ServerKind } from './server.ts'

export const memcached: ServerKind = {
  package: 'memcached',
  programs: ['memcached'],
  user: 'memcache',
  // It takes a second to end in order, and has nothing to put in order.
  stopSignal: 'SIGKILL',
  command: ({ port, program }) => [
    program('memcached'),
    ...['-l', '127.0.0.1', '-p', `${port}`, '-U', '0'],
  ],
}

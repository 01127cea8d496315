/**
 * A Redis Sentinel. What it monitors is configured in `sentinel.conf`, which is one of its files.
 */

import type { ServerKind } from './server.ts'

export const redisSentinel: ServerKind = {
  package: 'redis-sentinel',
  programs: ['redis-sentinel'],
  user: 'redis',
  command: ({ folder, port, program }) => [
    program('redis-sentinel'),
    `${folder}/sentinel.conf`,
    ...['--port', `${port}`, '--bind', '127.0.0.1', '--dir', folder],
  ],
}

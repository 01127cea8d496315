/** The HTTP server's bounds: sizes, times, connections (node:http). What a request gets is site.ts's. */

import {
  createServer,
  type IncomingMessage,
  type Server,
  type ServerResponse,
  STATUS_CODES,
} from 'node:http'
import type { Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import { Connections } from './connections.ts'
import { securityHeaders } from './security-headers.ts'

const MOST_HEADER_BYTES = 16 * 1024
const MOST_HEADERS = 100
/** For the headers of a request to arrive. */
const HEADERS_MILLISECONDS = 10_000
/** For the whole request to arrive. */
const REQUEST_MILLISECONDS = 20_000
/** Between two requests on a connection. */
const KEEP_ALIVE_MILLISECONDS = 30_000
/** Without anything read or written; server-sent events have a heartbeat. */
const SILENCE_MILLISECONDS = 60_000
/** For an answer to be made: a trial of other settings reads weeks of mail. */
const ANSWER_MILLISECONDS = 600_000
/** Requests on a connection. */
const MOST_REQUESTS = 1000
/** Between two looks for those that are too slow. */
const LOOK_MILLISECONDS = 2000
/** A browser opens six; behind a proxy all come from this host. */
const MOST_CONNECTIONS = 512
const MOST_PER_ADDRESS = 64

/** Milliseconds; tests have less. */
export interface Times {
  readonly headers: number
  readonly request: number
  readonly silence: number
  readonly look: number
}

const TIMES: Times = {
  headers: HEADERS_MILLISECONDS,
  request: REQUEST_MILLISECONDS,
  silence: SILENCE_MILLISECONDS,
  look: LOOK_MILLISECONDS,
}

export interface Listener {
  /** `answering`: to be called when the answer begins, whole or not; from then on, the reader has to read. */
  handle(
    request: IncomingMessage,
    response: ServerResponse,
    answering: (isWhole: boolean) => void,
  ): void
}

/** What all servers of the console share, whatever they listen on. */
export function sharedConnections(): Connections {
  return new Connections({ most: MOST_CONNECTIONS, mostPerAddress: MOST_PER_ADDRESS })
}

/** It listens nowhere yet. */
export function makeServer({ handle }: Listener, connections: Connections, times = TIMES): Server {
  const server = createServer(
    {
      maxHeaderSize: MOST_HEADER_BYTES,
      headersTimeout: times.headers,
      requestTimeout: times.request,
      keepAliveTimeout: KEEP_ALIVE_MILLISECONDS,
      connectionsCheckingInterval: times.look,
      insecureHTTPParser: false,
      // Site refuses a request without a name, with our headers.
      requireHostHeader: false,
    },
    (request, response) => {
      const { socket } = request
      if (!connections.begun(socket)) return
      const turn = turnAt(socket, connections)
      if (hasBody(request)) request.once('end', turn.begin)
      else turn.begin()
      response.once('close', () => {
        turn.end()
        connections.ended(socket)
      })
      socket.setTimeout(ANSWER_MILLISECONDS)
      handle(request, response, isWhole => {
        if (isWhole) turn.end()
        socket.setTimeout(times.silence)
      })
    },
  )
  server.maxHeadersCount = MOST_HEADERS
  server.maxRequestsPerSocket = MOST_REQUESTS
  server.setTimeout(times.silence, socket => socket.destroy())
  server.on('connection', socket => void connections.admit(socket))
  server.on('clientError', refuse)
  // Without this Node would answer by itself, without our headers.
  server.on('checkExpectation', (_, response) => {
    response.writeHead(417, securityHeaders).end()
  })
  return server
}

/** While it is on us that a request is not answered yet; each happens once, in this order or not at all. */
function turnAt(socket: Socket, connections: Connections) {
  let state: 'to come' | 'ours' | 'over' = 'to come'
  return {
    begin(): void {
      if (state !== 'to come') return
      state = 'ours'
      connections.arrived(socket)
    },
    end(): void {
      if (state === 'ours') connections.answered(socket)
      state = 'over'
    },
  }
}

function hasBody({ headers }: IncomingMessage): boolean {
  const { 'transfer-encoding': coding, 'content-length': length = '0' } = headers
  return coding !== undefined || Number(length) > 0
}

/** A request that is none, or comes too slowly. */
function refuse(error: Error, socket: Duplex): void {
  if (socket.destroyed || !socket.writable) {
    socket.destroy()
    return
  }
  const code = 'code' in error ? error.code : ''
  const status =
    code === 'HPE_HEADER_OVERFLOW' ? 431 : code === 'ERR_HTTP_REQUEST_TIMEOUT' ? 408 : 400
  socket.end(`HTTP/1.1 ${status} ${STATUS_CODES[status]}\r\nConnection: close\r\n\r\n`, () =>
    socket.destroy(),
  )
}

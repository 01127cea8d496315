/**
 * Dovecot's side of the protocol in which Postfix asks for passwords, for AUTH PLAIN: every name is
 * known, with the password `secret`, and reported in lower case.
 */

import net from 'node:net'

/** `where`: a path, or a port of 127.0.0.1. */
export async function startPasswordServer(where: string | number): Promise<net.Server> {
  const server = net.createServer(socket => {
    let input = ''
    socket.on('error', () => socket.destroy())
    socket.write('VERSION\t1\t2\nMECH\tPLAIN\tplaintext\nSPID\t1\nCUID\t1\nCOOKIE\t00\nDONE\n')
    socket.on('data', chunk => {
      input += chunk.toString('latin1')
      for (let end = input.indexOf('\n'); end >= 0; end = input.indexOf('\n')) {
        const [command, id = '', , ...words] = input.slice(0, end).split('\t')
        input = input.slice(end + 1)
        if (command === 'AUTH') socket.write(answer(id, words))
      }
    })
  })
  await new Promise<void>(resolve => {
    if (typeof where === 'string') server.listen(where, resolve)
    else server.listen(where, '127.0.0.1', resolve)
  })
  return server
}

function answer(id: string, words: readonly string[]): string {
  const response = words.find(word => word.startsWith('resp='))?.slice('resp='.length) ?? ''
  const [, user = '', password] = Buffer.from(response, 'base64').toString().split('\0')
  if (password !== 'secret') return `FAIL\t${id}\tuser=${user}\n`
  return `OK\t${id}\tuser=${user.toLowerCase()}\n`
}

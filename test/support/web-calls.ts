/** Requests to the web console, as its page makes them. */

export async function post(
  url: string,
  path: string,
  body: object,
  cookie = '',
): Promise<Response> {
  return await fetch(new URL(path, url), {
    method: 'POST',
    body: JSON.stringify(body),
    headers: {
      'content-type': 'application/json',
      'x-requested-with': 'mtpolicyd',
      origin: new URL(url).origin,
      cookie,
    },
  })
}

export const session = (url: string, cookie: string): Promise<Response> =>
  fetch(new URL('/api/session', url), { headers: { cookie } })

// A server that takes any body and answers `/large` with 8 MiB of JSON; its parent ends it.
import { createServer } from 'node:http'

const LARGE = Buffer.from(JSON.stringify({ text: 'x'.repeat(8 * 2 ** 20 - 64) }))
const SMALL = Buffer.from('{"id":"1"}')

const server = createServer((request, response) => {
  request.resume()
  request.on('end', () => {
    const body = request.url === '/large' ? LARGE : SMALL
    response.writeHead(200, { 'content-type': 'application/json', 'content-length': body.length })
    response.end(body)
  })
})
server.listen(0, '127.0.0.1', () => process.send({ url: `http://127.0.0.1:${server.address().port}` }))
process.on('disconnect', () => process.exit())

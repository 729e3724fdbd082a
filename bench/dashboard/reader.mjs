// Keeps as many pages open as the bench says, as browsers would: reads what comes, and lets it go.
import { once } from 'node:events'
import { get } from 'node:http'

const pages = []

process.on('message', async (count) => {
  while (pages.length > count) pages.pop().destroy()
  while (pages.length < count) {
    const request = get(process.argv[2], { agent: false })
    request.on('error', () => {})
    const [response] = await once(request, 'response')
    response.resume()
    response.on('error', () => {})
    pages.push(request)
  }
  process.send('done')
})
process.on('disconnect', () => process.exit())
process.send('ready')

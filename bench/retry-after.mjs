// What clients make of `Retry-After`: the server answers every request with 429, and the second request tells.
//
//   npm run bench:retry-after       under two minutes
import { setTimeout as sleep } from 'node:timers/promises'

import { publish, table } from './harness.mjs'
import { startRefuser } from './refuser.mjs'
import * as axiosRetry from './retriers/axios-retry.mjs'
import * as discord from './retriers/discord.mjs'
import * as effect from './retriers/effect.mjs'
import * as spillway from './retriers/spillway.mjs'
import * as undici from './retriers/undici.mjs'

const COUNTED_MS = 6_000
// Long enough to see whether a wait of 60 s is kept, and one with axios-retry's 20 % on top.
const LONG_MS = 75_000
const inSeconds = (seconds) => () => new Date(Date.now() + seconds * 1_000).toUTCString()
const FORMS = [
  { form: '`2`', value: () => '2' },
  { form: '`0`', value: () => '0' },
  // Dates are in whole seconds: this one leaves between 3 and 4.
  { form: 'a date in 3 to 4 s', value: inSeconds(4) },
  { form: 'a past date', value: inSeconds(-60) },
  { form: '`60`', value: () => '60', long: true },
  { form: '`99999999999`', value: () => '99999999999', long: true },
  { form: '`-5`', value: () => '-5' },
  { form: 'garbage', value: () => 'soon' },
]
const CLIENTS = [spillway, undici, axiosRetry, discord, effect]

// discord.js overflows timers, and Node warns of each; the table tells it better.
process.removeAllListeners('warning')
process.on('warning', (warning) => {
  if (warning.name !== 'TimeoutOverflowWarning') console.error(warning)
})

async function watch(client, { value, long }) {
  const server = await startRefuser(value)
  let gaveUp = false
  client.post(server.url).catch(() => {
    gaveUp = true
  })
  await sleep(long ? LONG_MS : COUNTED_MS)
  const [first, second = null] = server.arrivals
  const requests = server.arrivals.filter((at) => at - first < COUNTED_MS).length
  const figures = { requests, secondAfterMs: second && second - first, gaveUp }
  await server.close()
  return figures
}

function shown({ requests, secondAfterMs, gaveUp }) {
  if (requests === 0) throw new Error('no request came')
  if (secondAfterMs === null) return gaveUp ? 'gives up' : 'waits'
  return secondAfterMs > COUNTED_MS ? seconds(secondAfterMs) : `${seconds(secondAfterMs)}, ${requests} in all`
}

const seconds = (ms) => `${(ms / 1_000).toFixed(2)} s`
const figures = CLIENTS.map(({ name }) => ({ client: name, forms: {} }))
const measureForms = (client, forms) =>
  Promise.all(
    forms.map(async (form) => {
      figures[CLIENTS.indexOf(client)].forms[form.form] = await watch(client, form)
    }),
  )

// The forms at once; client after client where requests are counted, all of them where there is but waiting.
for (const client of CLIENTS)
  await measureForms(
    client,
    FORMS.filter(({ long }) => !long),
  )
await Promise.all(
  CLIENTS.map((client) =>
    measureForms(
      client,
      FORMS.filter(({ long }) => long),
    ),
  ),
)

const rows = FORMS.map(({ form }) => ({ form, ...Object.fromEntries(figures.map((row) => [row.client, shown(row.forms[form])])) }))
publish('retry-after', {
  title: '`Retry-After`, when every answer is 429',
  sections: [
    {
      heading: `When the second request comes, and how many come in ${COUNTED_MS / 1_000} s`,
      body: [
        table(rows, [['`Retry-After`', 'form'], ...CLIENTS.map(({ name }) => [name, name])]),
        [
          `*waits*: no second request in ${LONG_MS / 1_000} s. \`0\`, a past date, \`-5\` and garbage don't say when to come again: right is a delay of`,
          'its own that grows. No other header tells anything. One POST each. How many a flood is depends on how busy the machine is.',
        ].join('\n'),
      ].join('\n\n'),
    },
  ],
  figures: { countedMs: COUNTED_MS, watchedMs: LONG_MS, clients: figures },
})
// Some still wait for a minute, or for ever.
process.exit()

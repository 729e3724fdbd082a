import { readSession } from './acts.mjs'
import { setAttribute, setText } from './dom.mjs'
import { Feed } from './feed.mjs'
import { listView } from './list-view.mjs'
import { organizationView } from './organization-view.mjs'
import { State } from './state.mjs'

const CONNECTION_WORDS = { connecting: 'Connecting', live: 'Live', lost: 'Reconnecting…' }
const state = new State()
const main = document.getElementById('view')
const connection = document.getElementById('connection')
let view = null
let shown
let served = null
let isDue = false

const feed = new Feed((name, data) => {
  HEARD[name](data)
  draw()
})

const HEARD = {
  connection(word) {
    setAttribute(connection, 'data-state', word)
    setText(connection, CONNECTION_WORDS[word])
    setAttribute(document.body, 'data-connection', word)
  },
  hello({ instance, version }) {
    // A newer version of the package serves another page.
    if (served !== null && served.version !== version) return location.reload()
    if (served?.instance !== instance) {
      state.rows.clear()
      state.forget()
      readSession(state).then(draw, () => {})
    }
    served = { instance, version }
  },
  rows: (data) => state.takeRows(data),
  history: (data) => {
    state.history = data
  },
  sample: (data) => state.takeSample(data),
  detail: (data) => {
    state.detail = data
  },
}

/** However much has been heard, once per frame. */
function draw() {
  if (isDue) return
  isDue = true
  requestAnimationFrame(() => {
    isDue = false
    view.update()
  })
}

function route() {
  const [, name = null] = /^#\/organization\/(.+)$/.exec(location.hash) ?? []
  const organization = name === null ? null : decodeURIComponent(name)
  if (organization === shown) return
  const isFirst = shown === undefined
  shown = organization
  state.forget()
  view?.end()
  view = organization === null ? listView(state) : organizationView(state, organization)
  main.replaceChildren(view.element)
  scrollTo(0, 0)
  if (!isFirst) main.focus({ preventScroll: true })
  feed.open(organization)
  draw()
}

addEventListener('hashchange', route)
// Ages and countdowns go on between what is heard.
setInterval(draw, 1_000)
route()

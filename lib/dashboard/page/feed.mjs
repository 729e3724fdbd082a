// The connection to the service: opened again by itself, however it ended.

/** The service says something at least every 5 s. */
const SILENCE_MS = 12_000
const RETRY_MIN_MS = 500
const RETRY_MAX_MS = 5_000
/** A page that nobody looks at costs the service nothing. */
const HIDDEN_MS = 30_000

export class Feed {
  #hear
  #organization = null
  #source = null
  #silence = null
  #retry = null
  #retryMs = RETRY_MIN_MS
  #hidden = null

  /** `hear(name, data)`: what the service says, and `connection` with `live`, `lost` or `refused`. */
  constructor(hear) {
    this.#hear = hear
    document.addEventListener('visibilitychange', () => this.#visibility())
  }

  /** Shows an organization in detail, or none. */
  open(organization) {
    this.#organization = organization
    this.#connect()
  }

  #connect() {
    this.#close()
    const query = this.#organization === null ? '' : `?organization=${encodeURIComponent(this.#organization)}`
    const source = new EventSource(`events${query}`)
    this.#source = source
    for (const name of ['hello', 'rows', 'history', 'sample', 'detail']) {
      source.addEventListener(name, ({ data }) => this.#heard(name, JSON.parse(data)))
    }
    source.addEventListener('error', () => this.#lost())
    this.#listen()
  }

  #heard(name, data) {
    this.#listen()
    if (name === 'hello') {
      this.#retryMs = RETRY_MIN_MS
      this.#hear('connection', 'live')
    }
    this.#hear(name, data)
  }

  #listen() {
    clearTimeout(this.#silence)
    this.#silence = setTimeout(() => this.#lost(), SILENCE_MS)
  }

  // A browser gives up where the answer is no stream, as a proxy's is while the service restarts: so this asks itself.
  #lost() {
    this.#close()
    this.#hear('connection', 'lost')
    this.#retry = setTimeout(() => this.#connect(), this.#retryMs)
    this.#retryMs = Math.min(RETRY_MAX_MS, this.#retryMs * 2)
  }

  #close() {
    clearTimeout(this.#silence)
    clearTimeout(this.#retry)
    this.#source?.close()
    this.#source = null
  }

  #visibility() {
    clearTimeout(this.#hidden)
    if (document.hidden) this.#hidden = setTimeout(() => this.#close(), HIDDEN_MS)
    else if (this.#source === null) this.#connect()
  }
}

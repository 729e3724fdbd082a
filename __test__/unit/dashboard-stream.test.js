'use strict'

const assert = require('node:assert/strict')
const { EventEmitter } = require('node:events')
const { describe, it } = require('node:test')

const { accessOf } = require('../../lib/dashboard/access.js')
const { PageStream } = require('../../lib/dashboard/page-stream.js')

/** A response whose reader is behind while `isFull`. */
class Response extends EventEmitter {
  texts = []
  isFull = false
  writeHead() {}
  write(text) {
    this.texts.push(text)
    return !this.isFull
  }
  end() {
    this.emit('close')
  }
}

/** What a stream asks of the readings. */
function readings(organizations) {
  const watch = { tick: 1, organizations: new Map() }
  const change = (names) => {
    watch.tick++
    for (const name of names)
      watch.organizations.set(name, { name, row: `{"organization":"${name}","tick":${watch.tick}}`, changedAt: watch.tick })
  }
  change(organizations)
  return { watch, change }
}

function rowsIn(text) {
  return JSON.parse(/^data: (.*)$/m.exec(text)[1]).rows.map(({ organization, tick }) => `${organization} ${tick}`)
}

function open(given = 'read') {
  const response = new Response()
  const ended = []
  const options = { access: accessOf(given, true), organization: null, instance: 'one', onEnd: (stream) => ended.push(stream) }
  return { response, stream: new PageStream(response, options), ended }
}

describe('an open page', () => {
  it('is told all at first, and then what has changed', () => {
    const { response, stream } = open()
    const { watch, change } = readings(['a', 'b'])
    stream.tell(watch)
    change(['b'])
    stream.tell(watch)
    change([])
    stream.tell(watch)
    assert.deepEqual(response.texts.slice(1).map(rowsIn), [['a 2', 'b 2'], ['b 3']])
    assert.match(response.texts[0], /^retry: \d+\nevent: hello\n/)
  })

  it('that reads slowly is not written to, and then told the state of that moment', () => {
    const { response, stream } = open()
    const { watch, change } = readings(['a', 'b'])
    response.isFull = true
    stream.tell(watch)
    const written = response.texts.length
    for (let tick = 0; tick < 1_000; tick++) {
      change(['a'])
      stream.tell(watch)
    }
    assert.equal(response.texts.length, written, 'nothing is queued for it')
    response.isFull = false
    response.emit('drain')
    change(['b'])
    stream.tell(watch)
    assert.deepEqual(rowsIn(response.texts.at(-1)), ['a 1002', 'b 1003'])
  })

  it('learns of those alone that its viewer may see, and of those that are gone', () => {
    const { response, stream } = open({ may: 'read', organizations: ['a', 'b'] })
    const { watch } = readings(['a', 'b', 'c'])
    stream.tell(watch)
    assert.deepEqual(rowsIn(response.texts.at(-1)), ['a 2', 'b 2'])
    watch.organizations.delete('b')
    watch.organizations.delete('c')
    watch.tick++
    stream.tell(watch)
    assert.match(response.texts.at(-1), /"gone":\["b"\],"rows":\[\]/)
  })

  it('ends once, and hears nothing afterwards', () => {
    const { response, stream, ended } = open()
    const { watch } = readings(['a'])
    response.emit('close')
    stream.end()
    stream.tell(watch)
    assert.deepEqual([ended.length, response.texts.length], [1, 1])
  })
})

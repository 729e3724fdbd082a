'use strict'

const assert = require('node:assert/strict')
const { it } = require('node:test')

const { fleet } = require('./support.js')

it('a host that dies is an error for whoever waits for it, now and later', async (t) => {
  const { hosts } = await fleet(t, { names: ['mortal'] })
  const [host] = hosts
  host.signal('SIGSTOP')
  const waiting = [host.do('read'), host.event('outage')].map((promise) => assert.rejects(promise, /host mortal ended by SIGKILL/))
  host.signal('SIGKILL')
  await Promise.all(waiting)
  await assert.rejects(host.do('read'), /ended by SIGKILL/)
  await assert.rejects(host.event('outage'), /ended by SIGKILL/)
})

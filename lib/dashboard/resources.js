'use strict'

const { randomUUID } = require('node:crypto')

const { checkLetterFilter } = require('../checks.js')
const { SpillwayError } = require('../errors.js')
const { Refusal, sendJson } = require('./answer.js')
const { readJson } = require('./body.js')
const { listLetters, SKIP_MAX } = require('./letters.js')
const { checkOperation, operate } = require('./operations.js')
const { isSameOrigin } = require('./origin.js')
const { PageStream } = require('./page-stream.js')
const { readRampReport } = require('./ramp-report.js')
const { Tokens } = require('./token.js')

const PAGES_MAX = 64
/** Whoever watches is asked for so often whether they still may. */
const RECHECK_MS = 30_000

/** What is served besides the files of the page, by name. */
function resources(watch, settings, accessFor) {
  const tokens = new Tokens()
  const instance = randomUUID()
  const streams = new Set()

  function organizationOf(name, access) {
    const organization = watch.organizations.get(name)
    // Whoever may not see one doesn't learn whether it is there.
    if (organization === undefined || !access.sees(name)) throw new Refusal(404, 'NOT_FOUND', 'no such organization')
    return organization
  }

  const get = {
    /** What this viewer may do, and the token for it. */
    session({ request, response, access }) {
      const { token, cookie } = tokens.issue(request)
      sendJson(response, 200, { token, acts: access.acts, by: access.by }, { 'set-cookie': cookie })
    },

    events({ request, response, access, url }) {
      if (streams.size >= PAGES_MAX) throw new Refusal(503, 'PAGES', `${PAGES_MAX} pages are open already`)
      if (request.method === 'HEAD') return response.end()
      const recheck = setInterval(() => accessFor(request).catch(() => stream.end()), RECHECK_MS).unref()
      const organization = url.searchParams.get('organization')
      const onEnd = () => {
        clearInterval(recheck)
        streams.delete(stream)
        watch.remove(stream)
      }
      const stream = new PageStream(response, { access, organization, instance, onEnd })
      streams.add(stream)
      watch.add(stream)
    },

    async letters({ response, access, url }) {
      const query = url.searchParams
      const { sender } = organizationOf(query.get('organization'), access)
      const skip = Number(query.get('skip') ?? 0)
      if (!Number.isInteger(skip) || skip < 0 || skip > SKIP_MAX) throw new Refusal(400, 'SKIP', `skip must be 0 to ${SKIP_MAX}`)
      const filter = { reason: query.get('reason') ?? undefined }
      await told(async () => {
        checkLetterFilter(filter)
        sendJson(response, 200, await listLetters(sender, { filter, skip, bodies: settings.bodies }))
      })
    },

    async ramp({ response, access, url }) {
      const { name } = organizationOf(url.searchParams.get('organization'), access)
      sendJson(response, 200, await readRampReport(settings.rampReport, name))
    },
  }

  const post = {
    async act({ request, response, access }) {
      if (!isSameOrigin(request, settings.hosts)) throw new Refusal(403, 'CROSS_SITE', 'only the page itself may ask for this')
      if (!tokens.isValid(request)) throw new Refusal(403, 'TOKEN', 'the token is missing or of an earlier run: load the page again')
      const asked = await readJson(request)
      const organization = organizationOf(asked.organization, access)
      if (!access.actsOn(organization.name)) throw new Refusal(403, 'READ_ONLY', 'this page may only look')
      await told(async () => sendJson(response, 200, { result: await operate(organization, checkOperation(asked), access.by) }))
    },
  }

  return { get, post, end: () => streams.forEach((stream) => stream.end()) }
}

/** Errors of the package are for whoever asked: their messages hold neither texts nor secrets. */
async function told(work) {
  try {
    return await work()
  } catch (error) {
    if (error instanceof SpillwayError) throw new Refusal(error.code === 'NOT_FOUND' ? 404 : 409, error.code, error.message)
    throw error
  }
}

module.exports = { resources }

'use strict'

const { UsageError } = require('./usage.js')

/** The options with the credentials of the environment. A secret in a file ends up in a repository. */
function withSecrets(config, file, env) {
  if (Array.isArray(config.credentials))
    throw new UsageError(`--config ${file} must not hold a list of credentials: the command line uses one`)
  const { accessToken, clientSecret, clientId, ...others } = config.credentials ?? {}
  for (const [key, variable] of [
    ['clientSecret', 'SPILLWAY_CLIENT_SECRET'],
    ['accessToken', 'SPILLWAY_ACCESS_TOKEN'],
  ]) {
    if (config.credentials?.[key] === undefined) continue
    throw new UsageError(`--config ${file} must not hold credentials.${key}: put it into ${variable}`)
  }
  const token = env.SPILLWAY_ACCESS_TOKEN
  const secret = env.SPILLWAY_CLIENT_SECRET
  if (token && secret) throw new UsageError('SPILLWAY_ACCESS_TOKEN and SPILLWAY_CLIENT_SECRET are both set: which one?')
  if (token) return { ...config, credentials: { ...others, accessToken: token } }
  const id = env.SPILLWAY_CLIENT_ID || clientId
  if (id && secret) return { ...config, credentials: { ...others, clientId: id, clientSecret: secret } }
  throw new UsageError('no credentials: set SPILLWAY_CLIENT_ID and SPILLWAY_CLIENT_SECRET, or SPILLWAY_ACCESS_TOKEN, in the environment')
}

module.exports = { withSecrets }

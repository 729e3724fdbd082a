'use strict'

/** Whose limit it is: `{ scope, evidence }`, from what refusals named and from who passed while others were refused. */
function scopeOf({ limit, other, limitsRoute, hasOther }) {
  if (limit !== null) {
    return { scope: 'named key', key: limit.key, namespace: limit.namespace, evidence: `the 429 names ${limit.namespace}/${limit.key}` }
  }
  if (other === 200) return { scope: 'conversation', evidence: 'another conversation passed right after the refusal' }
  if (other === 429 && limitsRoute === 200) {
    return { scope: 'route', evidence: 'another conversation was refused as well, another route passed' }
  }
  if (other === 429 && limitsRoute === 429)
    return { scope: 'organization', evidence: 'another conversation and another route were refused as well' }
  if (other === 429)
    return { scope: 'route or organization', evidence: 'another conversation was refused as well; no other route was asked' }
  return { scope: 'unknown', evidence: hasOther ? 'no refusal left room for the question' : 'one conversation alone was used' }
}

module.exports = { scopeOf }

import sdk from './sdk.js'

export const { SpillwayHttpClient, useSpillway } = sdk

import sdk from './index.js'

export const { SpillwayHttpClient, useSpillway } = sdk

// What Python gives the channel; see app/browser/channel.py.
export const {said} = /** @type {ChannelModels} */ (models)

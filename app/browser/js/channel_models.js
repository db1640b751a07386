// What Python gives the channel; see app/browser/channel.py.
export const {told} = /** @type {ChannelModels} */ (models)

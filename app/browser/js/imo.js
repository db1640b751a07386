// The one global of the page: each part that runs in a scope of its own puts there what the others call.
export const imo = (window.imo ??= {})

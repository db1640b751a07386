// What Python gives the panels' code: Bokeh's models and constants; see app/browser/client.py.
export const {
  attribution, axisModels, brush, drawn, features, grid, gridModels, idle, instrument, keyboard, labels,
  layerModels, layersAtFirst, leaving, lightSpeed, lines, methodBoxes, methodList, methodValues, notYet, panelBox,
  panels, rangeTools, repairs, rest, scaleMap, secondView, shares, significance, significantFaded,
  significantMap, significantNames, significantOver, significantValues, singles, smoothings, spectrum, target, views,
  wavelength, windows, zoomTools,
} = /** @type {ExplorerModels} */ (models)

"""The addresses that the server answers."""

ROUTES = {
    "/?": "DocHandler: the page, with a new session",
    "/ws": "WSHandler: the page's changes, both ways",
    "/evaluation/?": "DocHandler: the page of method scores, with a new session",
    "/evaluation/ws": "WSHandler: changes of that page",
    "/alive": "_Alive: whether the server still knows a page that lost its connection",
    "/static/(?!extensions/)(.*)": "StaticHandler: files that come with Bokeh",
    "/static/extensions/(.*)": "MultiRootStaticHandler: files that come with Panel and panel-material-ui",
    "/favicon.ico": "IcoHandler: every browser asks for it",
}

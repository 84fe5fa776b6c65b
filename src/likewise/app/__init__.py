"""The workbench: a local web page in which pictures are counted by pointing at things, and the HTTP API behind it.

`likewise.app.server` puts it together, `likewise.app.routes` is the API, ``page`` what the browser is given.
"""

"""Views served as pages of their own, for tabs of JupyterLab and for links.

One process per Jupyter server, started by the first request and reached
through the server's own port, which asks who one is:
``{base_url}lenticular/views/{view}?label=...``. See
`lenticular.platform.server.views` for the other end.

- `lenticular.widgets.serve.arguments`: what an address may ask for.
- `lenticular.widgets.serve.builders`: the view that it means.
- `lenticular.widgets.serve.session`: a page, from its first notice to its end.
- `lenticular.widgets.serve.server`: the server on its socket.
"""

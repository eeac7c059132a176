"""Repositories, graphs and runs by HTTP: an extension of the Jupyter server.

`routes` is the table of what can be asked. Each of its rows names a function
in `answers`, which knows nothing of HTTP: it takes what the extension may
reach (`access.Access`) and a question (`models`), and gives an answer.
`handlers` brings both to the Jupyter server, and `openapi` describes them.
"""


def _jupyter_server_extension_points() -> list[dict[str, object]]:
    """Tell the Jupyter server what this package adds to it."""
    from lenticular.platform.server.application import LenticularApp

    return [{"module": __name__, "app": LenticularApp}]

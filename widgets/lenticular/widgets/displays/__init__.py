"""Tables instead of text for the middleware's own objects, by ``%load_ext lenticular``.

IPython shows a Butler, a dataset reference or a graph as one long line. The
extension adds an HTML display for them, and leaves the text as it is. No class
of the middleware is imported for that: IPython goes by their names, and a
display is made when an object is shown first.

- `lenticular.widgets.displays.extension`: registering and taking back.
- `lenticular.widgets.displays.data`: what a repository holds.
- `lenticular.widgets.displays.graphs`: QuantumGraphs.

The pieces of a display are those of `lenticular.butler.display`.
"""

"""``python -m lenticular.widgets.serve``: see `lenticular.widgets.serve.server`."""

from lenticular.widgets.serve.server import main

if __name__ == "__main__":
    main()

"""A served page: a notice at once, the view when it is ready, and its end."""

from __future__ import annotations

import logging
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import panel as pn
from jinja2 import Template
from panel.io.state import set_curdoc

from lenticular.butler.errors import LenticularError
from lenticular.widgets.colours import page_style
from lenticular.widgets.look import html, notice
from lenticular.widgets.serve.arguments import ViewArguments, theme_of
from lenticular.widgets.serve.builders import TITLES, load, make, open_repository

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from bokeh.document import Document

    from lenticular.butler import Repository
    from lenticular.widgets.view import View

__all__ = ["PageSession", "Pages"]

_log = logging.getLogger(__name__)

# Modules are imported one after the other: two threads that import parts of
# the same packages at once may see them half made.
_IMPORTS = ThreadPoolExecutor(1, thread_name_prefix="imports")
_OPENINGS = ThreadPoolExecutor(8, thread_name_prefix="openings")

_TEMPLATE = """
{% extends base %}
{% block postamble %}
<meta name="viewport" content="width=device-width, initial-scale=1">
<style>
{{ style }}
body { margin: 0; padding: 10px 14px; box-sizing: border-box; min-height: 100vh; }
</style>
<script>
// In a tab of JupyterLab the page follows Lab's theme, also when it changes.
(() => {
  const root = document.documentElement;
  root.dataset.theme = "{{ theme }}";
  const repaint = (view) => {
    if (view.request_paint) view.request_paint();
    for (const child of view.children?.() ?? []) repaint(child);
  };
  try {
    const lab = window.parent === window ? null : window.parent.document.body;
    if (!lab?.dataset.jpThemeLight) return;
    const follow = () => {
      root.dataset.theme = lab.dataset.jpThemeLight === "false" ? "dark" : "light";
      for (const view of window.Bokeh?.index ?? []) repaint(view);
    };
    new MutationObserver(follow).observe(lab, { attributeFilter: ["data-jp-theme-light"] });
    follow();
  } catch {
    // The page around this one is from elsewhere and keeps to itself.
  }
})();
</script>
{% endblock %}
"""


class Pages:
    """The pages of one view: makes one for each browser that asks.

    Parameters
    ----------
    name
        The view, one of `TITLES`.
    read_only
        Whether runs are only looked at.
    """

    def __init__(self, name: str, *, read_only: bool) -> None:
        self._name = name
        self._read_only = read_only

    def make(self) -> pn.viewable.Viewable:
        """Return what the page of the session shows that is being made."""
        document = pn.state.curdoc
        assert document is not None  # noqa: S101  the server calls this for a document
        arguments = dict(pn.state.session_args)
        document.template = Template(_TEMPLATE)
        document.template_variables.update(theme=theme_of(arguments), style=page_style())
        return PageSession(self._name, document, arguments, read_only=self._read_only).place


class PageSession:
    """One page in one browser.

    Nothing slow happens on the server's loop, which all pages share: modules
    are imported and repositories opened on threads.

    Parameters
    ----------
    name
        The view, one of `TITLES`.
    document
        The page's document.
    arguments
        Arguments of the request; see `ViewArguments.parse`.
    read_only
        Whether runs are only looked at.
    """

    def __init__(
        self, name: str, document: Document, arguments: Mapping[str, Sequence[bytes]], *, read_only: bool
    ) -> None:
        self._name = name
        self._document = document
        self._arguments = arguments
        self._read_only = read_only
        self._closed = False
        self._repository: Repository | None = None
        self._view: View | None = None
        self.place = pn.Column(
            html('<div class="lv-busy" role="status">Opening ...</div>'), sizing_mode="stretch_width"
        )
        """What stands on the page."""
        document.on_session_destroyed(self._end)
        # The session is not complete before the document is made.
        document.add_next_tick_callback(self._begin)

    def _begin(self) -> None:
        _OPENINGS.submit(self._prepare)

    def _prepare(self) -> None:
        """Open the repository, on a thread, and have the view made on the page's."""
        try:
            arguments = ViewArguments.parse(self._arguments)
            self._repository = open_repository(self._name, arguments)
            _IMPORTS.submit(load, self._name).result()
        except Exception as error:  # noqa: BLE001  told on the page, whatever it is
            failure = error
            self._on_page(lambda: self._tell(failure))
        else:
            self._on_page(lambda: self._show(arguments))

    def _on_page(self, change: Callable[[], None]) -> None:
        def attempt() -> None:
            if self._closed:
                self._release()
                return
            with set_curdoc(self._document):
                try:
                    change()
                except Exception as error:  # noqa: BLE001  as above
                    self._tell(error)

        self._document.add_next_tick_callback(attempt)

    def _show(self, arguments: ViewArguments) -> None:
        view = make(self._name, arguments, self._repository, read_only=self._read_only)
        self._view = view
        if self._repository is not None:
            self._document.title = f"{TITLES[self._name]} - {self._repository.name}"
        self.place[:] = [view]

    def _tell(self, error: Exception) -> None:
        """Put on the page what went wrong; the traceback stays in the log."""
        if isinstance(error, LenticularError):
            what = f"{error.what} ({error.where})" if error.where else error.what
            text = notice(what, hint=error.hint)
        else:
            _log.error("%s could not be shown", self._name, exc_info=error)
            text = notice("The view could not be opened", hint="The log of the Jupyter server says why.")
        self.place[:] = [html(text, max_width=720)]

    def _end(self, session_context: object) -> None:
        del session_context
        self._closed = True
        self._release()

    def _release(self) -> None:
        if self._view is not None:
            self._view.close()
        if self._repository is not None:
            self._repository.close()

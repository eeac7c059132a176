"""Seeing: views that work alone in a notebook, in a served application, and together."""

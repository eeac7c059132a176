"""The algorithms of the pipelines: pure functions on arrays, each with its source.

None of them knows a butler, a camera or a task; import the module of the step
that is wanted.
"""

__all__: list[str] = []

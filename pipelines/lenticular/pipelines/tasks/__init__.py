"""The PipelineTasks: thin, with LSST's names and dataset types, around the algorithms.

Import the module of the task that is wanted; nothing is imported here, so that
one task does not pay for the libraries of another.
"""

__all__: list[str] = []

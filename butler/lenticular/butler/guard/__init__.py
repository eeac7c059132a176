"""Guards around queries: deadlines, cancelling, turns, and lost connections.

=================  ============================================================
`guarded`          a deadline, and an event that cancels, for all queries inside
`Scope`            the same as an object
`writing`          says of a write that is cut short whether it was done
`Slots`            how many queries a repository is asked at once
`run_read`         a read in turn, in time, and again if the connection is lost
=================  ============================================================

`lenticular.butler.Repository.read` and `Repository.read_butler` put them
together.
"""

from lenticular.butler.guard.scope import Scope, current_scope, guarded
from lenticular.butler.guard.slots import Slots
from lenticular.butler.guard.writing import writing

__all__ = ["Scope", "Slots", "current_scope", "guarded", "writing"]

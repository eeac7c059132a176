"""Logs: written without credentials, and read from where a quantum has left its own."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING
from uuid import UUID

from lenticular.butler.errors import RunError
from lenticular.butler.redact import redact

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["LOG_FORMAT", "RedactingFormatter", "read_stored_log"]

LOG_FORMAT = "%(asctime)s %(levelname)s %(name)s: %(message)s"
"""One line of a log file."""


class RedactingFormatter(logging.Formatter):
    """A formatter that masks credentials in messages and tracebacks."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the text of a record, traceback included, with every credential masked."""
        return redact(super().format(record))


def read_stored_log(repository: str, graph: Path, quantum_id: str) -> str:
    """Return the log of a quantum, straight from the store.

    Parameters
    ----------
    repository
        Address of the repository.
    graph
        The ``.qg`` file.
    quantum_id
        Identifier of the quantum.

    Returns
    -------
    str
        One line per message.

    Raises
    ------
    RunError
        Raised if there is no such quantum, or it has no log yet.
    """
    if not graph.exists():
        raise RunError("The graph is not built yet", where=quantum_id)
    from lsst.daf.butler import QuantumBackedButler
    from lsst.pipe.base import automatic_connection_constants as connections
    from lsst.pipe.base.pipeline_graph import TaskImportMode
    from lsst.pipe.base.quantum_graph import PredictedQuantumGraph

    from lenticular.pipelines.graph import mend_zipfile

    mend_zipfile()
    quantum = UUID(quantum_id)
    with PredictedQuantumGraph.open(str(graph), import_mode=TaskImportMode.DO_NOT_IMPORT) as reader:
        try:
            reader.read_execution_quanta([quantum])
        except LookupError as error:
            raise RunError("The run has no such quantum", where=quantum_id) from error
        components = reader.components
    (dataset,) = components.quantum_datasets[quantum].outputs[connections.LOG_OUTPUT_CONNECTION_NAME]
    ref = components.make_dataset_ref(dataset)
    butler = QuantumBackedButler.from_predicted(
        config=repository,
        predicted_inputs=[ref.id],
        predicted_outputs=(),
        dimensions=components.pipeline_graph.universe,
        datastore_records={},
        dataset_types={ref.datasetType.name: ref.datasetType},
    )
    with butler:
        try:
            records = butler.get(ref)
        except FileNotFoundError as error:
            raise RunError("The quantum has no log yet", where=quantum_id) from error
    return redact(
        "\n".join(
            f"{record.asctime} {record.levelname} {record.name}: {record.message}" for record in records
        )
    )

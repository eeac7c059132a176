"""What this package needs of upstream that upstream does not document.

A quantum-backed butler is made for the quanta known when it is made. Workers
keep one butler for a whole graph, of which they meet one quantum after the
other; `admit_quantum` lets a butler take up another.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from uuid import UUID

    from lsst.daf.butler import QuantumBackedButler
    from lsst.pipe.base.quantum_graph import PredictedQuantumDatasetsModel

__all__ = ["admit_quantum"]


def admit_quantum(
    butler: QuantumBackedButler, quantum: PredictedQuantumDatasetsModel, known: set[UUID]
) -> None:
    """Let a quantum-backed butler read a quantum's inputs and write its outputs.

    Parameters
    ----------
    butler
        The butler; it is changed.
    quantum
        The quantum, as the graph's file has it.
    known
        Input datasets whose files the butler knows already; those of this
        quantum are added. A butler takes the files of a dataset only once.
    """
    butler._predicted_inputs.update(quantum.iter_input_dataset_ids())
    butler._predicted_outputs.update(quantum.iter_output_dataset_ids())
    records = quantum.deserialize_datastore_records()
    new = {
        name: subset
        for name, data in records.items()
        if (subset := data.subset(set(data.records) - known)) is not None
    }
    if new:
        butler._datastore.import_records(new)
        for data in new.values():
            known.update(data.records)

"""What a driver does to the repository before and after the quanta."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lenticular.butler.errors import RunError
from lenticular.platform.execution.messages import Cause

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path
    from uuid import UUID

    from lsst.daf.butler import DatasetRef, QuantumBackedButler
    from lsst.pipe.base.quantum_graph import (
        PredictedQuantumDatasetsModel,
        PredictedQuantumGraphComponents,
    )

    from lenticular.platform.execution.thin import ThinGraph

__all__ = ["discard_outputs", "ingest_outputs", "write_init_outputs"]


def write_init_outputs(repository: str, graph: Path) -> None:
    """Write configurations, software versions and schemas of a run.

    Parameters
    ----------
    repository
        Address of the repository.
    graph
        The ``.qg`` file.

    Notes
    -----
    What is there already is compared, not written again, so that a restarted
    run with another configuration is refused.
    """
    from lsst.pipe.base.quantum_graph import PredictedQuantumGraph

    with PredictedQuantumGraph.open(str(graph)) as reader:
        reader.read_init_quanta()
        predicted = reader.finish()
    with predicted.make_init_qbb(repository) as butler:
        predicted.init_output_run(butler)


def ingest_outputs(repository: str, graph: Path, thin: ThinGraph) -> None:
    """Register all outputs that were written, and show them in the output collection.

    Until this is done the files are in the store, but the registry does not
    know them. Doing it again adds what has come since. As upstream has it,
    what a quantum wrote before it failed is registered too, its log above all.

    Parameters
    ----------
    repository
        Address of the repository.
    graph
        The ``.qg`` file.
    thin
        What it says of collections.

    Raises
    ------
    RunError
        Raised if the registry or the store refuses.
    """
    from lsst.pipe.base.quantum_graph.aggregator import AggregatorConfig, aggregate_graph

    try:
        aggregate_graph(str(graph), repository, AggregatorConfig(defensive_ingest=True))
    except (KeyboardInterrupt, SystemExit):
        raise
    except BaseException as error:  # upstream's own is not an Exception
        cause = Cause.of(error)
        raise RunError(
            f"The outputs could not be registered: {cause.error}: {cause.message}",
            where=thin.output_run,
            hint="They are stored; restart the run to register them. See driver.log in its folder.",
        ) from error
    _complete_chain(repository, thin)


def discard_outputs(repository: str, graph: Path, quanta: Iterable[UUID]) -> None:
    """Remove what unfinished quanta have left, files and registry entries.

    Parameters
    ----------
    repository
        Address of the repository.
    graph
        The ``.qg`` file.
    quanta
        Quanta that were interrupted, or will be run again. One whose metadata
        are stored has succeeded, though nobody noted it, and is left alone.
    """
    unfinished = list(quanta)
    if not unfinished:
        return
    from lsst.daf.butler import Butler, QuantumBackedButler
    from lsst.pipe.base.pipeline_graph import TaskImportMode
    from lsst.pipe.base.quantum_graph import PredictedQuantumGraph

    with PredictedQuantumGraph.open(str(graph), import_mode=TaskImportMode.DO_NOT_IMPORT) as reader:
        reader.read_execution_quanta(unfinished)
        components = reader.components
    limited = QuantumBackedButler.from_predicted(
        config=repository,
        predicted_inputs=(),
        predicted_outputs=(),
        dimensions=components.pipeline_graph.universe,
        datastore_records={},
        dataset_types={
            node.name: node.dataset_type for node in components.pipeline_graph.dataset_types.values()
        },
    )
    with limited:
        refs = [
            ref
            for quantum in components.quantum_datasets.values()
            for ref in _outputs_of_unfinished(components, quantum, limited)
        ]
        with Butler.from_config(repository, writeable=True) as butler:
            registered = butler.get_many_datasets([ref.id for ref in refs])
            butler.pruneDatasets(registered, disassociate=True, unstore=True, purge=True)
        stored = [ref for ref, is_stored in limited.stored_many(refs).items() if is_stored]
        limited.pruneDatasets(stored, disassociate=True, unstore=True, purge=True)


def _outputs_of_unfinished(
    components: PredictedQuantumGraphComponents,
    quantum: PredictedQuantumDatasetsModel,
    butler: QuantumBackedButler,
) -> list[DatasetRef]:
    """Return the outputs of a quantum, none if it has succeeded."""
    from lsst.pipe.base import automatic_connection_constants as connections

    (metadata,) = quantum.outputs[connections.METADATA_OUTPUT_CONNECTION_NAME]
    if butler.stored(components.make_dataset_ref(metadata)):
        return []
    return [
        components.make_dataset_ref(dataset) for datasets in quantum.outputs.values() for dataset in datasets
    ]


def _complete_chain(repository: str, thin: ThinGraph) -> None:
    """Add to the output chain the inputs that it lacks.

    Upstream puts inputs into a chain only when it makes it; a later run with
    further inputs would have outputs in the chain whose inputs are not.
    """
    if thin.output is None:
        return
    from lsst.daf.butler import Butler

    with Butler.from_config(repository, writeable=True) as butler:
        wanted = butler.collections.query(thin.inputs, flatten_chains=True)
        shown = set(butler.collections.query(thin.output, flatten_chains=True))
        missing = [name for name in wanted if name not in shown]
        if missing:
            butler.collections.extend_chain(thin.output, missing)

"""QuantumGraphs: which quanta a pipeline will run on which data.

A `GraphRequest` says what is wanted; it is a small value that can be written
to a record, sent by a browser or typed by hand. `preview_graph` counts without
writing anything, `build_graph` writes the ``.qg`` file that upstream's own
tools read. `load_pipeline` and `describe_config` are for a person who wants to
choose tasks and values first.
"""

from lenticular.pipelines.graph.build import BuiltGraph, build_graph
from lenticular.pipelines.graph.configuration import ConfigField, describe_config
from lenticular.pipelines.graph.pipeline import load_pipeline
from lenticular.pipelines.graph.preview import (
    DatasetTypePreview,
    GraphPreview,
    PreviewEdge,
    TaskPreview,
    preview_graph,
)
from lenticular.pipelines.graph.request import ConfigOverride, GraphRequest
from lenticular.pipelines.graph.zipfault import mend_zipfile

__all__ = [
    "BuiltGraph",
    "ConfigField",
    "ConfigOverride",
    "DatasetTypePreview",
    "GraphPreview",
    "GraphRequest",
    "PreviewEdge",
    "TaskPreview",
    "build_graph",
    "describe_config",
    "load_pipeline",
    "mend_zipfile",
    "preview_graph",
]

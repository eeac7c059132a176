"""Raw files into a repository: headers, dimension records, raws, visits.

Nothing here knows a camera: what is special about one is told by its
`astro_metadata_translator` translator and its `lsst.pipe.base.Instrument`.
"""

from __future__ import annotations

from lenticular.pipelines.ingest.headers import read_header
from lenticular.pipelines.ingest.instruments import DECam, HyperSuprimeCam
from lenticular.pipelines.ingest.raws import ingest_raws
from lenticular.pipelines.ingest.records import RawObservation, observe
from lenticular.pipelines.ingest.reports import IngestReport, Progress, VisitReport
from lenticular.pipelines.ingest.visits import define_visits

__all__ = [
    "DECam",
    "HyperSuprimeCam",
    "IngestReport",
    "Progress",
    "RawObservation",
    "VisitReport",
    "define_visits",
    "ingest_raws",
    "observe",
    "read_header",
]

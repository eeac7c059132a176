"""A Jupyter server with the extension, and a repository, graph and FITS file to ask for.

The fixtures of pytest-jupyter are imported here rather than named as a plugin:
some of them act on every test there is, and would start a server's clean-up
after each test of the other layers.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from astropy.io import fits
from pytest_jupyter.jupyter_core import (
    echo_kernel_spec,
    jp_asyncio_loop,
    jp_config_dir,
    jp_data_dir,
    jp_env_config_path,
    jp_env_jupyter_path,
    jp_environ,
    jp_home_dir,
    jp_kernel_dir,
    jp_runtime_dir,
    jp_system_config_path,
    jp_system_jupyter_path,
    pytest_pycollect_makeitem,
    pytest_pyfunc_call,
)
from pytest_jupyter.jupyter_server import (
    jp_argv,
    jp_auth_header,
    jp_base_url,
    jp_configurable_serverapp,
    jp_fetch,
    jp_http_port,
    jp_logging_stream,
    jp_nbconvert_templates,
    jp_root_dir,
    jp_server_cleanup,
    jp_serverapp,
    jp_template_dir,
    jp_web_app,
)
from pytest_jupyter.pytest_tornasync import http_server, http_server_client, http_server_port, io_loop
from traitlets.config import Config

from tests.trivial.repository import make_repository, write_pipeline

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from pathlib import Path

    from tornado.httpclient import HTTPResponse

__all__ = [
    "echo_kernel_spec",
    "http_server",
    "http_server_client",
    "http_server_port",
    "io_loop",
    "jp_argv",
    "jp_asyncio_loop",
    "jp_auth_header",
    "jp_base_url",
    "jp_config_dir",
    "jp_configurable_serverapp",
    "jp_data_dir",
    "jp_env_config_path",
    "jp_env_jupyter_path",
    "jp_environ",
    "jp_fetch",
    "jp_home_dir",
    "jp_http_port",
    "jp_kernel_dir",
    "jp_logging_stream",
    "jp_nbconvert_templates",
    "jp_root_dir",
    "jp_runtime_dir",
    "jp_server_cleanup",
    "jp_serverapp",
    "jp_system_config_path",
    "jp_system_jupyter_path",
    "jp_template_dir",
    "jp_web_app",
    "pytest_pycollect_makeitem",
    "pytest_pyfunc_call",
]

DETECTORS = 7


@dataclass(frozen=True)
class Site:
    """What the tests' server can be asked for; made once, and only read."""

    repository: Path
    pipeline: str
    graph: Path
    fits: Path


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory) -> Site:
    """Return a repository, a pipeline, a graph and a FITS file."""
    from lenticular.butler import Repository
    from lenticular.pipelines.graph import GraphRequest, build_graph

    folder = tmp_path_factory.mktemp("site")
    repository = folder / "repository"
    make_repository(repository, detectors=DETECTORS)
    _fill(repository)
    pipeline = write_pipeline(folder / "stages.yaml", ["one", "two"])
    with Repository.open(repository) as opened:
        built = build_graph(
            opened.butler, GraphRequest(pipeline, ("seeds",), "u/ana/graph"), folder / "stages.qg"
        )
    return Site(repository, pipeline, built.path, write_exposure(folder / "exposure.fits"))


def _fill(root: Path) -> None:
    """Put chains, tags, calibrations and datasets without dimensions beside the seeds."""
    from lsst.daf.butler import Butler, CollectionType, DatasetType, Timespan

    with Butler.from_config(str(root), writeable=True) as butler:
        seed = butler.get_dataset_type("seed")
        collections = butler.collections
        for run in ("late", "dark/1", "dark/2", "notes"):
            collections.register(run)
        butler.put({"value": -1}, seed, instrument="Toy", detector=2, run="late")
        dark = DatasetType(
            "dark",
            ("instrument", "detector"),
            "StructuredDataDict",
            universe=butler.dimensions,
            isCalibration=True,
        )
        note = DatasetType("note", (), "StructuredDataDict", universe=butler.dimensions)
        for kind in (dark, note):
            butler.registry.registerDatasetType(kind)
        butler.put({}, note, run="notes")
        collections.register("calib", CollectionType.CALIBRATION)
        for run, chosen in (("dark/1", range(3)), ("dark/2", range(3, 5))):
            refs = [butler.put({}, dark, instrument="Toy", detector=i, run=run) for i in chosen]
            butler.registry.certify("calib", refs, Timespan(None, None))
        _certify_in_turn(butler, dark)
        collections.register("tags", CollectionType.TAGGED)
        tagged = butler.query_datasets("seed", "seeds", where="detector IN (1, 4)", instrument="Toy")
        butler.registry.associate("tags", tagged)
        collections.register("inner", CollectionType.CHAINED, doc="What came late before what came first.")
        collections.redefine_chain("inner", ["late", "seeds"])
        collections.register("outer", CollectionType.CHAINED)
        collections.redefine_chain("outer", ["inner", "calib", "notes"])


def _certify_in_turn(butler: Any, dark: Any) -> None:
    """Give one detector a dataset for each of many spans of time."""
    from astropy.time import Time
    from lsst.daf.butler import Timespan

    for number in range(6):
        run = f"spans/{number}"
        butler.collections.register(run)
        ref = butler.put({}, dark, instrument="Toy", detector=5, run=run)
        begin, end = (Time(f"2030-01-0{day}T00:00:00", scale="tai") for day in (number + 1, number + 2))
        butler.registry.certify("calib", [ref], Timespan(begin, end))


def write_exposure(path: Path, shape: tuple[int, int] = (300, 200)) -> Path:
    """Write a FITS file with the planes of an exposure, as lsst.images names them, and a table."""
    rng = np.random.default_rng(7)
    image = rng.normal(100, 5, shape).astype(np.float32)
    image[10:20, 30:40] = np.nan
    mask = np.zeros(shape, np.int32)
    mask[:5, :] = 2
    planes = fits.CompImageHDU(mask, name="MASK", compression_type="GZIP_2", tile_shape=(64, 64))
    planes.header["MSKN0000"] = "BAD"
    planes.header["MSKM0000"] = 1
    planes.header["MSKN0001"] = "SATURATED"
    planes.header["MSKM0001"] = 2
    hdus = fits.HDUList(
        [
            fits.PrimaryHDU(),
            fits.CompImageHDU(image, name="IMAGE", compression_type="GZIP_2", tile_shape=(64, 64)),
            planes,
            fits.ImageHDU(np.full(shape, 25, np.float32), name="VARIANCE"),
            fits.ImageHDU(np.zeros((2, 3, 4), np.int16), name="CUBE"),
            fits.BinTableHDU.from_columns([fits.Column("x", "D", array=np.arange(9.0))], name="TABLE"),
        ]
    )
    hdus[1].header["OBSERVER"] = ("Ana", "who looked")
    hdus.writeto(path)
    return path


@pytest.fixture
def runs_folder(tmp_path: Path) -> Path:
    """Return the folder of the records of runs."""
    return tmp_path / "runs"


@pytest.fixture
def lenticular_settings() -> dict[str, Any]:
    """Return settings that differ from those of `jp_server_config`; to be replaced by tests."""
    return {}


@pytest.fixture
def jp_server_config(site: Site, runs_folder: Path, lenticular_settings: dict[str, Any]) -> Config:
    """Return the configuration of a server with the extension, that lets nobody in unasked."""
    settings = {
        "repositories": {"toy": str(site.repository)},
        "pipelines": {"stages": site.pipeline},
        "runs": str(runs_folder),
        **lenticular_settings,
    }
    return Config(
        {
            "ServerApp": {
                "jpserver_extensions": {
                    "lenticular.platform.server": True,
                    "jupyter_server_terminals": False,
                },
                "allow_unauthenticated_access": False,
            },
            "LenticularApp": settings,
        }
    )


@dataclass(frozen=True)
class Answered:
    """What a server said."""

    status: int
    content: Any
    response: HTTPResponse

    @property
    def error(self) -> dict[str, Any]:
        """The error in its envelope."""
        assert set(self.content) == {"error"}
        error: dict[str, Any] = self.content["error"]
        assert set(error) == {"kind", "what", "where", "hint"}
        assert error["hint"]
        return error


type Ask = Callable[..., Awaitable[Answered]]


@pytest.fixture
def ask(jp_fetch: Any) -> Ask:
    """Return a function that asks a route and returns the answer, be it an error."""

    async def fetch(route: str, /, body: object = None, **parameters: Any) -> Answered:
        options: dict[str, Any] = {"request_timeout": 120, "raise_error": False}
        if body is not None:
            text = body if isinstance(body, str) else json.dumps(body)
            options |= {"method": "POST", "body": text}
        response = await jp_fetch("lenticular", "api", *route.split("/"), params=parameters, **options)
        is_json = response.headers.get("Content-Type", "").startswith("application/json")
        content = json.loads(response.body) if is_json else response.body
        return Answered(response.code, content, response)

    return fetch

"""The sky map: its geometry, its records, its place in a repository."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import numpy as np
import pydantic
import pytest
from hypothesis import given
from hypothesis import strategies as st
from lsst.daf.butler.registry import ConflictingDefinitionError
from lsst.sphgeom import LonLat, UnitVector3d

from lenticular.butler.errors import NotFoundError
from lenticular.pipelines.ingest.regions import polygon
from lenticular.pipelines.skymap import RUN, DiscreteSkyMap, register_skymap
from tests.pipelines.ingest_support import make_template, open_copy

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from lsst.daf.butler import Butler

SMALL = DiscreteSkyMap(name="small", ra=53.1, dec=-28.1, n_patches=3, patch_size=400, border=100)


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_template(tmp_path_factory.mktemp("skymap"))


@pytest.fixture
def butler(template: Path, tmp_path: Path) -> Iterator[Butler]:
    with open_copy(template, tmp_path / "repository") as opened:
        yield opened


def test_inner_parts_of_patches_tile_the_tract() -> None:
    covered = np.zeros(SMALL.bbox.shape, int)
    for patch in SMALL.patches():
        box = patch.inner_bbox
        covered[box.y.start : box.y.stop, box.x.start : box.x.stop] += 1
    assert (covered[100:-100, 100:-100] == 1).all()
    assert covered.sum() == 1200**2


def test_patches_are_counted_row_by_row() -> None:
    patch = SMALL.patch(5)
    assert (patch.index.y, patch.index.x) == (1, 2)
    assert SMALL.bbox.contains(patch.outer_bbox)


def test_cells_of_neighbouring_patches_coincide() -> None:
    left, right = SMALL.patch(0).cells, SMALL.patch(1).cells
    assert (left.grid_size.i, left.grid_size.j) == (6, 6)
    shared = left.bbox_of(left.index_of(y=150, x=450))
    assert shared == right.bbox_of(right.index_of(y=150, x=450))


def test_a_patch_that_does_not_exist_is_an_error() -> None:
    with pytest.raises(NotFoundError, match="no patch 9"):
        SMALL.patch(9)


def test_north_is_up_and_east_is_left() -> None:
    wcs = SMALL.wcs()
    x, y = wcs.all_world2pix([53.1, 53.1, 53.11], [-28.1, -28.09, -28.1], 0)
    centre = (SMALL.bbox.x.size - 1) / 2
    assert (x[0], y[0]) == (pytest.approx(centre), pytest.approx(centre))
    assert y[1] > y[0]
    assert x[2] < x[0]


def test_the_projection_of_coadds_is_that_of_the_tract() -> None:
    projection = SMALL.projection()
    sky = projection.pixel_to_sky(x=np.array([10.0, 900.0]), y=np.array([20.0, 1200.0]))
    ra, dec = SMALL.wcs().all_pix2world([10.0, 900.0], [20.0, 1200.0], 0)
    np.testing.assert_allclose(sky.ra.deg, ra, atol=1e-9)
    np.testing.assert_allclose(sky.dec.deg, dec, atol=1e-9)


@pytest.mark.parametrize(
    "changes",
    [
        {"patch_size": 450},
        {"border": 50},
        {"n_patches": 0},
        {"dec": 91.0},
        {"name": ""},
        {"name": "x" * 65},
        {"pixel_scale": 0.0},
        {"colour": "blue"},
    ],
)
def test_parameters_that_make_no_map_are_refused(changes: dict[str, object]) -> None:
    with pytest.raises(pydantic.ValidationError):
        DiscreteSkyMap.model_validate(SMALL.model_dump() | changes)


def test_the_hash_tells_maps_apart() -> None:
    same = DiscreteSkyMap.model_validate_json(SMALL.model_dump_json())
    assert same == SMALL
    assert same.sha1 == SMALL.sha1
    assert len(SMALL.sha1) == hashlib.sha1(usedforsecurity=False).digest_size
    others = [SMALL.model_copy(update=change) for change in ({"ra": 53.2}, {"border": 0}, {"name": "b"})]
    assert len({SMALL.sha1, *(other.sha1 for other in others)}) == 4


@given(
    ra=st.floats(0, 360),
    dec=st.floats(-85, 85),
    radius=st.floats(0.01, 1.0),
    n_patches=st.integers(1, 9),
)
def test_a_map_covers_the_field_it_is_made_for(ra: float, dec: float, radius: float, n_patches: int) -> None:
    made = DiscreteSkyMap.covering("m", ra=ra, dec=dec, radius=radius, n_patches=n_patches)
    region = made.region()
    assert region.contains(UnitVector3d(LonLat.fromDegrees(ra, dec + radius)))
    assert region.contains(UnitVector3d(LonLat.fromDegrees(ra, dec - radius)))
    # No more than a cell per patch is wasted on a side.
    side = made.n_patches * made.patch_size
    needed = 2 * np.degrees(np.tan(np.radians(radius))) * 3600 / made.pixel_scale
    assert needed <= side < needed + made.n_patches * made.cell_size + 1


def test_covering_regions_is_found_out() -> None:
    inside = polygon([53.09, 53.11, 53.1], [-28.11, -28.11, -28.09])
    outside = polygon([53.09, 53.11, 53.1], [-28.11, -28.11, -27.09])
    assert SMALL.covers([inside])
    assert not SMALL.covers([inside, outside])


def test_registering_makes_records_and_a_dataset(butler: Butler) -> None:
    ref = register_skymap(butler, SMALL)
    assert (ref.datasetType.name, ref.run) == ("skyMap", RUN)
    assert butler.get("skyMap", skymap="small", collections=RUN) == SMALL
    (record,) = butler.query_dimension_records("skymap", skymap="small")
    assert (record.hash, record.tract_max, record.patch_nx_max) == (SMALL.sha1, 1, 3)
    (tract,) = butler.query_dimension_records("tract", skymap="small")
    patches = butler.query_dimension_records("patch", skymap="small", tract=0)
    assert [patch.id for patch in patches] == list(range(9))
    for patch in patches:
        assert tract.region.contains(patch.region)
        assert (patch.cell_y, patch.cell_x) == divmod(patch.id, 3)
        expected = SMALL.region(SMALL.patch(patch.id).outer_bbox)
        assert patch.region == expected


def test_registering_again_changes_nothing(butler: Butler) -> None:
    assert register_skymap(butler, SMALL) == register_skymap(butler, SMALL)
    assert len(butler.query_datasets("skyMap", collections=RUN)) == 1


def test_another_map_of_the_same_name_is_refused(butler: Butler) -> None:
    register_skymap(butler, SMALL)
    with pytest.raises(ConflictingDefinitionError):
        register_skymap(butler, SMALL.model_copy(update={"ra": 10.0}))
    assert butler.get("skyMap", skymap="small", collections=RUN) == SMALL


def test_an_interrupted_registration_leaves_nothing(butler: Butler, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> None:
        message = "disk full"
        raise OSError(message)

    monkeypatch.setattr(butler, "put", fail)
    with pytest.raises(OSError, match="disk full"):
        register_skymap(butler, SMALL)
    monkeypatch.undo()
    assert butler.query_dimension_records("skymap", explain=False) == []
    register_skymap(butler, SMALL)


def test_it_can_be_looked_at() -> None:
    assert "3 × 3 patches of 400 pixels" in SMALL._repr_html_()

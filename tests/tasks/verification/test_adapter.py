from __future__ import annotations

import numpy as np
import pytest

from facelearn.bundle.adapter_file import load_adapter, save_adapter
from facelearn.bundle.file import load, write_sealed
from facelearn.errors import BundleError, DataError
from facelearn.tasks.verification.adapter import fit_adapter
from facelearn.tasks.verification.back_end import BackEnd, fit_back_end


def two_models(people=40, images=6, seed=0, noise=0.05):
    """What two models say of the same photos: their embeddings, of 12 and 9 numbers, are turns of the same 8 numbers; whose they are."""
    generator = np.random.default_rng(seed)
    who = np.repeat(np.arange(people), images)
    seen = generator.normal(size=(people, 8))[who] + 0.4 * generator.normal(size=(len(who), 8))
    maps = np.random.default_rng(99)
    old, new = (seen @ maps.normal(size=(8, size)) for size in (12, 9))
    rows = [(part + noise * generator.normal(size=part.shape)).astype(np.float32) for part in (old, new)]
    return (*(BackEnd().transform(part) for part in rows), who.astype(np.int64))


def adapter(data=None, **options):
    settings = {"source": "old", "target": "new", "old_back_end": BackEnd(), "new_back_end": BackEnd(), **options}
    return fit_adapter(*(data or two_models()), **settings)


def test_old_embeddings_find_their_people_among_new_ones():
    made, (old, new, _) = adapter(), two_models(seed=5)
    adapted = made.adapt(old, "old")
    assert adapted.shape == (240, 9) and adapted.dtype == np.float32 and made.unit
    np.testing.assert_allclose(np.linalg.norm(adapted, axis=1), 1, atol=1e-5)
    cosine = (adapted * new).sum(1).mean()
    assert made.measured.mean_cosine == pytest.approx(cosine, abs=0.03) and cosine > 0.9
    assert made.measured.people == 8 and made.measured.images == 48
    assert 0.75 * made.measured.new < made.measured.adapted <= made.measured.new
    nearest = new[BackEnd().distance_matrix(adapted, new).argmin(1)]
    assert (nearest == new).all(1).mean() > 0.8
    assert "40" not in made.measured.lines()[0] and "48 photos of 8 people" in made.measured.lines()[0]


def test_what_is_lost_is_measured_on_people_that_the_map_has_not_seen():
    """Of embeddings that have nothing to do with each other a map learns by heart, which must not look like skill."""
    _, new, who = two_models(people=30, images=2)
    strange = np.random.default_rng(1).normal(size=(60, 50)).astype(np.float32)
    made = adapter((strange, new, who))
    assert made.measured.mean_cosine < 0.2 and made.measured.adapted < made.measured.new


def test_spaces_without_unit_length():
    old, new, who = two_models()
    plda = fit_back_end("plda", new, who)
    made = adapter((old, plda.transform(new), who), new_back_end=plda)
    assert not made.unit and made.measured.adapted > 0.7


def test_photos_of_nobody_known_teach_the_map_too():
    old, new, who = two_models()
    unknown = np.full(len(who), -1)
    made = adapter((old, new, unknown))
    assert made.measured.people == 0 and np.isnan(made.measured.adapted) and made.measured.mean_cosine > 0.9
    assert adapter((old, new, who), held_out=0).measured is None


def test_file(tmp_path):
    made = adapter()
    path = save_adapter(made, tmp_path / "to_new.safetensors")
    again, (old, _, _) = load_adapter(path), two_models(seed=7)
    np.testing.assert_array_equal(again.adapt(old, "old"), made.adapt(old, "old"))
    assert (again.source, again.target, again.measured) == ("old", "new", made.measured)
    assert save_adapter(again, tmp_path / "copy.safetensors").read_bytes() == path.read_bytes()
    without = save_adapter(adapter(held_out=0), tmp_path / "without.safetensors")
    assert load_adapter(without).measured is None
    with pytest.raises(BundleError, match=r"type 'a\.safetensors'"):
        save_adapter(made, tmp_path / "a.npz")
    with pytest.raises(BundleError, match="not what facelearn needs"):
        load(path)
    with pytest.raises(BundleError, match="there is no adapter"):
        load_adapter(tmp_path / "nowhere.safetensors")
    model = write_sealed(tmp_path / "model.safetensors", "a model", {}, {"facelearn": "2", "document": "{}"})
    with pytest.raises(BundleError, match="is a model, not an adapter"):
        load_adapter(model)


@pytest.mark.parametrize("place", [3, 40, 200, -5])
def test_a_damaged_file_is_refused(tmp_path, place):
    path = save_adapter(adapter(), tmp_path / "to_new.safetensors")
    content = bytearray(path.read_bytes())
    content[place] ^= 1
    path.write_bytes(bytes(content))
    with pytest.raises(BundleError, match=r"cut short or edited|damaged"):
        load_adapter(path)
    path.write_bytes(bytes(content[:100]))
    with pytest.raises(BundleError, match="cut short or edited"):
        load_adapter(path)


def test_refusals():
    old, new, who = two_models()
    made = adapter()
    with pytest.raises(DataError, match="of space other; this adapter leads from old to new"):
        made.adapt(old, "other")
    with pytest.raises(DataError, match=r"shape \(N, 12\); received \(240, 9\)"):
        made.adapt(new, "old")
    with pytest.raises(DataError, match="the same photos"):
        adapter((old[1:], new, who))
    with pytest.raises(DataError, match="NaN"):
        adapter((old * np.nan, new, who))
    with pytest.raises(DataError, match="received 1"):
        adapter(held_out=1)
    with pytest.raises(DataError, match="of 1 people too few"):
        adapter((old, new, np.zeros(len(who), np.int64)))

"""Rules that a split must keep, whatever the pictures are."""

from __future__ import annotations

import hashlib
import random
from collections import Counter

from hypothesis import given, settings
from hypothesis import strategies as st

from attnzoo.data.split import Item, divide

from .pictures import check, encoded, fill, lines, picture, put

LABELS = "abcd"


@st.composite
def items(draw, several=False):
    """Draws pictures; some of them belong together, also across classes."""
    sizes = {label: draw(st.integers(1, 30)) for label in LABELS[: draw(st.integers(2, 4))]}
    found = []
    for label, size in sizes.items():
        for n in range(size):
            labels = (label,)
            if several:
                labels = tuple(sorted({label, *draw(st.sets(st.sampled_from(sorted(sizes)), max_size=2))}))
            together = draw(st.one_of(st.just(f"{label}{n}"), st.integers(0, 5)))
            found.append(Item(labels, hashlib.sha256(f"{label}{n}".encode()).hexdigest(), together))
    return found


def singles(number: int, label: str = "a") -> list[Item]:
    return [Item((label,), hashlib.sha256(f"{label}{n}".encode()).hexdigest(), (label, n)) for n in range(number)]


@settings(max_examples=80, deadline=None)
@given(st.one_of(items(), items(several=True)), st.floats(0.05, 0.9), st.integers(0, 99))
def test_wholes_stay_whole_and_each_class_is_on_both_sides_or_named(found, fraction, seed):
    chosen, reasons = divide(found, fraction, seed)
    sides: dict[object, set[bool]] = {}
    for number, item in enumerate(found):
        sides.setdefault(item.together, set()).add(number in chosen)
    assert all(len(side) == 1 for side in sides.values())
    for label in {label for item in found for label in item.labels}:
        here = {number in chosen for number, item in enumerate(found) if label in item.labels}
        assert (label in reasons) == (here != {True, False})
        assert False in here, "something of each class is learnt"


@settings(max_examples=50, deadline=None)
@given(items(), st.floats(0.05, 0.9), st.integers(0, 9), st.randoms())
def test_the_order_of_pictures_changes_nothing(found, fraction, seed, shuffle):
    chosen, reasons = divide(found, fraction, seed)
    again = list(found)
    shuffle.shuffle(again)
    same, why = divide(again, fraction, seed)
    assert {found[n].sha256 for n in chosen} == {again[n].sha256 for n in same}
    assert reasons == why


@settings(max_examples=50, deadline=None)
@given(
    st.dictionaries(st.sampled_from(LABELS), st.integers(2, 60), min_size=2), st.floats(0.05, 0.9), st.integers(0, 9)
)
def test_pictures_on_their_own_are_divided_exactly(sizes, fraction, seed):
    found = [item for label, size in sizes.items() for item in singles(size, label)]
    chosen, reasons = divide(found, fraction, seed)
    counts = Counter(found[n].labels[0] for n in chosen)
    assert reasons == {}
    assert counts == {label: min(size - 1, max(1, round(fraction * size))) for label, size in sizes.items()}


@settings(max_examples=60, deadline=None)
@given(st.integers(5, 80), st.floats(0.1, 0.5), st.integers(0, 9))
def test_one_more_picture_moves_at_most_one_other(size, fraction, seed):
    before = {singles(size)[n].sha256 for n in divide(singles(size), fraction, seed)[0]}
    more = singles(size + 1)
    after = {more[n].sha256 for n in divide(more, fraction, seed)[0]}
    assert len((before ^ after) - {more[-1].sha256}) <= 1


def test_another_seed_is_another_split():
    found = [*singles(50, "a"), *singles(50, "b")]
    assert len({frozenset(divide(found, 0.2, seed)[0]) for seed in range(10)}) == 10


def test_wholes_of_any_size_come_near_the_fraction():
    draw = random.Random(0)
    found = [Item((draw.choice("ab"),), str(n), draw.randrange(60)) for n in range(600)]
    chosen, reasons = divide(found, 0.2, 0)
    assert reasons == {}
    for label in "ab":
        share = sum(found[n].labels == (label,) for n in chosen) / sum(i.labels == (label,) for i in found)
        assert 0.15 < share < 0.25


# Of folders ------------------------------------------------------------------------------------------------------


def sides(report):
    return {p.facts.sha256: p.split for p in report.pictures}


def test_names_do_not_matter(tmp_path):
    one = check(fill(tmp_path / "d", cat=10, dog=10))
    for n in range(10):
        put(tmp_path / "e" / "cat" / f"other{(n * 7) % 10}.png", (tmp_path / "d/cat" / f"{n}.png").read_bytes())
        put(tmp_path / "e" / "dog" / f"x{n}.png", (tmp_path / "d/dog" / f"{n}.png").read_bytes())
    two = check(tmp_path / "e")
    assert sides(one) == sides(two)
    assert one.fingerprint != two.fingerprint
    assert sides(check(tmp_path / "d", seed=1)) != sides(one)


def test_groups_stay_on_one_side(tmp_path):
    root = tmp_path / "d"
    for n in range(40):
        put(root / "ab"[n % 2] / f"patient{n // 4}_{n}.png", encoded(picture(n), "PNG"))
    for expression in ("patient[0-9]+", "patient([0-9]+)_"):
        report = check(root, group_by=expression, val_fraction=0.3)
        assert report.ok
        groups = {p.name.split("/")[1].split("_")[0]: set() for p in report.pictures}
        for p in report.pictures:
            groups[p.name.split("/")[1].split("_")[0]].add(p.split)
        assert all(len(side) == 1 for side in groups.values())
        assert {side for s in groups.values() for side in s} == {"train", "val"}
    loose = check(root, val_fraction=0.3)
    assert sides(loose) != sides(report)


def test_a_group_that_matches_nothing_is_an_error_and_not_everywhere_a_warning(tmp_path):
    root = fill(tmp_path / "d", cat=5, dog=5)
    assert not check(root, group_by="patient").ok
    some = check(root, group_by="cat/[0-9]")
    assert some.ok
    assert any(x.startswith("group_by: 5 pictures") for x in lines(some, "warning"))


def test_a_group_in_two_given_splits_is_an_error(tmp_path):
    root = tmp_path / "d"
    fill(root / "train", cat=5, dog=5)
    fill(root / "val", seed=50, cat=5, dog=5)
    found = lines(check(root, group_by=r"cat/[01]\."), "error")
    assert found == ["group: 2 groups in more than one split; what is measured there was learnt. ['cat/0.', 'cat/1.']"]

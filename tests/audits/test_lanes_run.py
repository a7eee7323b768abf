"""Whole runs: builds made at once, and builds made beside what checks prepare."""

from sudare.audits import compare, site
from sudare.fleets.lanes import in_lanes

from .conftest import run_smoke


def figures(result):
    return [f for f in result.findings.findings if not f.id.startswith("cost.")]


def test_a_run_in_lanes_finds_what_any_run_finds(smoke, tmp_path, monkeypatch):
    groups = []

    def as_on_a_gpu(tasks, route, cache, *, device, lanes):
        groups.append((route.name, in_lanes(tasks, route, cache, device="cuda", lanes=lanes)))
        return groups[-1][1]

    monkeypatch.setattr(site, "in_lanes", as_on_a_gpu)
    result = run_smoke(tmp_path / "run", tmp_path / "cache")
    builds = {name: len(chains[0][0].builds) for name, chains in groups if chains}
    assert builds == {"plain": 4}
    assert figures(result) == figures(smoke[2])


def test_the_first_route_is_what_workers_begin_with_while_checks_are_prepared(
    tmp_path, monkeypatch
):
    given = []

    def noted(works, executor, *, progress, beside):
        given.append([[type(job).__name__ for job in chain] for chain in beside])

    monkeypatch.setattr(compare, "prepare_checks", noted)
    run_smoke(tmp_path / "run", tmp_path / "cache", "routes=[{kind='plain'}]", "checks=[]")
    (chains,) = given
    assert len(chains) == 4
    assert all(chain[0] == "BuildJob" for chain in chains)
    assert len({tuple(chain) for chain in chains}) == 1


def test_builds_in_lanes_are_not_begun_one_by_one(tmp_path, monkeypatch):
    given = []

    def noted(works, executor, *, progress, beside):
        given.append(list(beside))

    def as_on_a_gpu(tasks, route, cache, *, device, lanes):
        return in_lanes(tasks, route, cache, device="cuda", lanes=lanes)

    monkeypatch.setattr(compare, "prepare_checks", noted)
    monkeypatch.setattr(site, "in_lanes", as_on_a_gpu)
    run_smoke(tmp_path / "run", tmp_path / "cache", "routes=[{kind='plain'}]", "checks=[]")
    assert given == [[]]

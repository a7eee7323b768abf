"""A job between owners and a server: answers kept, books kept, rounds kept, messages distrusted."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch

from sudare.accounting.ledger import Ledger
from sudare.core.errors import BudgetError, ConfigError, DataError
from sudare.core.progress import Silent
from sudare.data.images import ImageDataset
from sudare.releases.store import read_release
from sudare.routes import make_route
from sudare.routes.context import BuildContext
from sudare.routes.federation.coordinator import Coordinator
from sudare.routes.federation.job import agreed, read_job, write_job
from sudare.routes.federation.silo import Silo, for_the_job, summed

OWNERS = ("north", "south", "east")


def images(n=90, seed=0, classes=3):
    rng = np.random.default_rng(seed)
    labels = np.arange(n) % classes
    pixels = rng.integers(0, 120, size=(n, 1, 8, 8)) + 60 * labels[:, None, None, None]
    return ImageDataset(
        images=pixels.astype(np.uint8),
        labels=labels.astype(np.int64),
        class_names=tuple("abc"[:classes]),
        unit=np.arange(n),
        silo=np.arange(n) % 3,
        name="private",
    )


def values(**federation):
    return {
        "name": "rehearsal",
        "owners": list(OWNERS),
        "class_names": ["a", "b", "c"],
        "image_shape": [1, 8, 8],
        "address": "127.0.0.1:8000",
        "seed": 3,
        "federation": {
            "kind": "federation",
            "net": {"name": "mlp", "width": 8},
            "clients": 3,
            "rounds": 3,
            "local_steps": 2,
            "rate": 0.5,
            "recipe": {"lr": 0.5, "momentum": 0.0, "augmentation": []},
            # A noise, not an epsilon: nothing is to be calibrated, which takes seconds.
            "privacy": {"noise_multiplier": 1.5, "delta": 1e-3},
            **federation,
        },
    }


def made(spare=1, seed=3, **federation):
    return agreed({**values(**federation), "seed": seed}, spare_rounds=spare)


class Direct:
    """Owners in this process; `fails` is the round at which the line breaks, once."""

    def __init__(self, job, folder, data, fails=None):
        self.silos = {
            owner: Silo(job, owner, for_the_job(data[data.silo == index], job), folder / owner)
            for index, owner in enumerate(OWNERS)
        }
        self.fails, self.asked, self.told = fails, [], {}

    def updates(self, number, weights):
        if number == self.fails:
            self.fails = None
            raise DataError("the line is cut")
        self.asked.append(number)
        # In another order than the job's: which answer comes first must not matter.
        return {o: silo.update(number, weights) for o, silo in reversed(self.silos.items())}

    def scores(self, states, unit):
        return {owner: silo.scores(states, unit) for owner, silo in self.silos.items()}

    def tell(self, statements):
        self.told = dict(statements)


@pytest.mark.parametrize("privacy", [{"noise_multiplier": 1.5, "delta": 1e-3}, False])
def test_a_job_ends_in_the_release_of_the_same_federation_in_one_process(tmp_path, privacy):
    data, public = images(), replace(images(60, seed=5), silo=None)
    job = made(privacy=privacy)
    owners = Direct(job, tmp_path, data)
    found = read_release(Coordinator(job, tmp_path / "server", public, owners, Silent()).run())
    built = make_route(job.federation).build(data, BuildContext.of(public, seed=3))
    (expected,) = built.releases.values()
    for name, tensor in expected.state.items():
        assert torch.allclose(found.state[name], tensor, atol=1e-6)
    for one, other in zip(found.card.spec.statements, expected.card.spec.statements, strict=True):
        assert one.payouts == other.payouts
        assert one.records == pytest.approx(other.records)
        assert one.epsilon == pytest.approx(other.epsilon)
        assert one.ledger == other.ledger
    assert set(owners.told) == set(OWNERS)
    # Noise from a seed promises nothing, whatever the ledger says.
    assert found.card.guarantee == ""


def test_noise_of_a_job_in_earnest_comes_from_no_seed_and_is_promised(tmp_path):
    data, public = images(), images(60, seed=5)
    weights = []
    for name in ("one", "other"):
        job = made(seed=None)
        owners = Direct(job, tmp_path / name, data)
        release = read_release(
            Coordinator(job, tmp_path / name / "server", public, owners, Silent()).run()
        )
        weights.append(torch.cat([v.flatten() for v in release.state.values()]))
        assert "differential privacy" in release.card.guarantee
    assert not torch.equal(*weights)


def test_a_job_that_was_cut_off_goes_on_at_its_last_whole_round(tmp_path):
    data, public = images(), images(60, seed=5)
    job = made()
    owners = Direct(job, tmp_path / "cut", data, fails=1)
    with pytest.raises(DataError, match="the line is cut"):
        Coordinator(job, tmp_path / "cut" / "server", public, owners, Silent()).run()
    cut = Coordinator(job, tmp_path / "cut" / "server", public, owners, Silent()).run()
    assert owners.asked == [0, 1, 2]
    whole = Direct(job, tmp_path / "whole", data)
    undisturbed = Coordinator(job, tmp_path / "whole" / "server", public, whole, Silent()).run()
    assert (cut / "tensors.safetensors").read_bytes() == (
        undisturbed / "tensors.safetensors"
    ).read_bytes()
    # And once it is over, nobody is asked again.
    assert Coordinator(job, tmp_path / "cut" / "server", public, None, Silent()).run() == cut


def silo(tmp_path, job, **options):
    data = images()
    return Silo(job, "south", for_the_job(data[data.silo == 1], job), tmp_path, **options)


def start():
    return torch.full((619,), 0.01)


def all_rounds(tmp_path, job):
    for number in range(job.federation.rounds):
        silo(tmp_path, job).update(number, start())


def entries(tmp_path):
    with Ledger(tmp_path / "ledger.jsonl") as ledger:
        return ledger.entries


def test_the_same_question_is_answered_the_same_and_costs_nothing(tmp_path):
    job = made(seed=None)
    first = silo(tmp_path, job).update(0, start())
    spent = entries(tmp_path)
    # Another program, and other weights: whoever asks twice learns nothing more.
    again = silo(tmp_path, job).update(0, 2 * start())
    assert torch.equal(first, again)
    assert entries(tmp_path) == spent
    states = start()[None]
    one, other = (silo(tmp_path, job).scores(states, 1.0) for _ in range(2))
    assert one == other
    assert [entry.purpose for entry in entries(tmp_path)] == [
        "training",
        "released number of records and sum of scores",
    ]


def test_a_round_that_was_cut_off_is_charged_again_until_the_ledger_refuses(tmp_path, monkeypatch):
    """Its noise may have been drawn and its answer sent: an intent without an answer counts."""
    job = made(seed=None)

    def killed(*args, **settings):
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr("sudare.routes.federation.silo.local_update", killed)
        for _ in range(4):
            with pytest.raises(KeyboardInterrupt):
                silo(tmp_path, job).update(0, start())
    assert len(entries(tmp_path)) == 4
    with pytest.raises(BudgetError, match="training would raise epsilon to"):
        all_rounds(tmp_path, job)
    (total,) = summed(entries(tmp_path))
    assert total.epsilon <= job.max_epsilon


def test_an_owner_s_own_limit_goes_before_the_job_s(tmp_path):
    job = made(seed=None)
    with pytest.raises(BudgetError, match=r"above 0\.1"):
        silo(tmp_path, job, max_epsilon=0.1).update(0, start())


def test_a_ledger_outlives_its_job(tmp_path):
    """Two jobs on the same images are paid from one budget."""
    job = made(seed=None)
    all_rounds(tmp_path, job)
    later = job.model_copy(update={"name": "later"})
    with pytest.raises(BudgetError):
        all_rounds(tmp_path, later)


@pytest.mark.parametrize(
    ("number", "weights", "said"),
    [
        (3, torch.zeros(619), "round 3 is none of this job's 3"),
        (-1, torch.zeros(619), "round -1 is none"),
        (0, torch.zeros(5), "weights of shape"),
        (0, torch.zeros(619, dtype=torch.float64), "weights of shape"),
        (0, torch.full((619,), torch.nan), "not finite"),
        (0, torch.zeros(619, 1), "weights of shape"),
    ],
)
def test_a_server_s_wrong_question_is_refused_and_costs_nothing(tmp_path, number, weights, said):
    job = made(seed=None)
    with pytest.raises(DataError, match=said):
        silo(tmp_path, job).update(number, weights)
    assert entries(tmp_path) == ()


@pytest.mark.parametrize("wrong", [torch.zeros(5), torch.full((619,), torch.inf)])
def test_an_owner_s_wrong_update_is_refused(tmp_path, wrong):
    job = made()

    class Liar(Direct):
        def updates(self, number, weights):
            return {**super().updates(number, weights), "south": wrong}

    owners = Liar(job, tmp_path, images())
    with pytest.raises(DataError, match="south sent an update"):
        Coordinator(job, tmp_path / "server", images(60), owners, Silent()).run()


def test_a_job_file_is_read_as_it_was_written(tmp_path):
    for privacy in ({"noise_multiplier": 1.5}, False):
        job = made(privacy=privacy)
        write_job(job, tmp_path / "job.toml")
        assert read_job(tmp_path / "job.toml") == job
    assert job.federation.privacy is None
    assert (job.noise_multiplier, job.max_epsilon) == (0.0, None)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"owners": ["a", "a", "b"]}, "two owners of one name"),
        ({"owners": ["a", "b"]}, "2 owners, but federation.clients = 3"),
        ({"name": "../up"}, "should match pattern"),
        ({"address": "no port"}, "should match pattern"),
        ({"federation": {"weights": "size"}}, "all owners weigh the same"),
        ({"federation": {"rounds": 0}}, "greater than or equal to 1"),
        ({"more": 1}, "there is no field 'more'"),
    ],
)
def test_a_job_that_is_none_is_refused(change, said):
    given = values()
    given.update({name: value for name, value in change.items() if name != "federation"})
    given["federation"].update(change.get("federation", {}))
    with pytest.raises(ConfigError, match=f"(?i){said}"):
        agreed(given, spare_rounds=1)


def test_a_job_without_noise_that_promises_is_refused(tmp_path):
    job = made()
    path = tmp_path / "job.toml"
    write_job(job, path)
    text = path.read_text()
    path.write_text(text.replace("noise_multiplier = ", "noise_multiplier = 0 # ", 1))
    with pytest.raises(ConfigError, match="noise and the promise"):
        read_job(path)
    for content in (b"\xff\xfe", b"a = [", b"x" * (2**20 + 1)):
        path.write_bytes(content)
        with pytest.raises(ConfigError, match=r"not valid TOML|too large"):
            read_job(path)
    with pytest.raises(ConfigError, match="there is no job file"):
        read_job(tmp_path / "none.toml")


def test_an_owner_s_classes_go_by_name_and_others_are_refused():
    job = made()
    data = images(30, classes=2)
    renamed = replace(data, class_names=("c", "a"))
    found = for_the_job(renamed, job)
    assert found.class_names == ("a", "b", "c")
    assert set(found.labels[data.labels == 0]) == {2}
    assert set(found.labels[data.labels == 1]) == {0}
    with pytest.raises(DataError, match="the class 'z' is none of the job's"):
        for_the_job(replace(data, class_names=("a", "z")), job)
    with pytest.raises(DataError, match="images of shape"):
        for_the_job(replace(data, images=data.images[:, :, :4, :4]), job)
    with pytest.raises(DataError, match="there are no images"):
        for_the_job(data[np.zeros(0, dtype=np.int64)], job)


def test_entries_of_one_mechanism_are_summed():
    job = made()
    from sudare.routes.federation.owner import scores_entry, training_entry

    config, sigma = job.federation, job.noise_multiplier
    entries = [training_entry(config, sigma, steps=2) for _ in range(3)]
    assert summed([*entries, scores_entry(config)]) == (
        training_entry(config, sigma, steps=6),
        scores_entry(config),
    )


def test_a_statement_is_kept_for_its_owner(tmp_path):
    kept = silo(tmp_path, made())
    kept.keep_statement(json.dumps({"paid": 1}))
    assert json.loads(kept.statement.read_text()) == {"paid": 1}

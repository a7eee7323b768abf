"""A job between owners and a server: answers kept, books kept, rounds kept, messages distrusted."""

import json
import math
from dataclasses import replace

import numpy as np
import pytest
import torch

from sudare.accounting.ledger import EXACT, SEEDED, Ledger, composed_epsilon
from sudare.core.errors import BudgetError, ConfigError, DataError
from sudare.core.progress import Silent
from sudare.data.images import ImageDataset
from sudare.releases.kinds.federation import Statement
from sudare.releases.store import read_release
from sudare.routes import make_route
from sudare.routes.context import BuildContext
from sudare.routes.federation.for_job import for_the_job
from sudare.routes.federation.job import agreed, read_job, write_job
from sudare.routes.federation.job_coordinator import JobCoordinator
from sudare.routes.federation.settlement import ledger_of
from sudare.routes.federation.silo import Silo
from sudare.routes.federation.wire import sum_of

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
        return set(statements)


@pytest.mark.parametrize("privacy", [{"noise_multiplier": 1.5, "delta": 1e-3}, False])
def test_a_job_ends_in_the_release_of_the_same_federation_in_one_process(tmp_path, privacy):
    data, public = images(), replace(images(60, seed=5), silo=None)
    job = made(privacy=privacy)
    owners = Direct(job, tmp_path, data)
    found = read_release(JobCoordinator(job, tmp_path / "server", public, owners, Silent()).run())
    built = make_route(job.federation).build(data, BuildContext.of(public, seed=3))
    (expected,) = built.releases.values()
    for name, tensor in expected.state.items():
        assert torch.allclose(found.state[name], tensor, atol=1e-6)
    for one, other in zip(found.card.spec.statements, expected.card.spec.statements, strict=True):
        assert one.payouts == other.payouts
        assert one.records == pytest.approx(other.records)
        # Noise from a seed promises nothing, and the books say so.
        assert one.epsilon is None
        assert {entry.mechanism for entry in one.ledger} == ({SEEDED} if privacy else set())
        assert [e.steps for e in one.ledger] == [e.steps for e in other.ledger]
    assert set(owners.told) == set(OWNERS)
    assert found.card.guarantee == ""


def test_noise_of_a_job_in_earnest_comes_from_no_seed_and_is_promised(tmp_path):
    data, public = images(), images(60, seed=5)
    weights = []
    for name in ("one", "other"):
        job = made(seed=None)
        owners = Direct(job, tmp_path / name, data)
        release = read_release(
            JobCoordinator(job, tmp_path / name / "server", public, owners, Silent()).run()
        )
        weights.append(torch.cat([v.flatten() for v in release.state.values()]))
        assert "differential privacy" in release.card.guarantee
    assert not torch.equal(*weights)


def test_a_job_that_was_cut_off_goes_on_at_its_last_whole_round(tmp_path):
    data, public = images(), images(60, seed=5)
    job = made()
    owners = Direct(job, tmp_path / "cut", data, fails=1)
    with pytest.raises(DataError, match="the line is cut"):
        JobCoordinator(job, tmp_path / "cut" / "server", public, owners, Silent()).run()
    cut = JobCoordinator(job, tmp_path / "cut" / "server", public, owners, Silent()).run()
    assert owners.asked == [0, 1, 2]
    whole = Direct(job, tmp_path / "whole", data)
    undisturbed = JobCoordinator(job, tmp_path / "whole" / "server", public, whole, Silent()).run()
    assert (cut / "tensors.safetensors").read_bytes() == (
        undisturbed / "tensors.safetensors"
    ).read_bytes()
    # And once it is over, nobody is asked again.
    assert JobCoordinator(job, tmp_path / "cut" / "server", public, None, Silent()).run() == cut


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
    all_rounds(tmp_path, job)
    states = start().repeat(3, 1)
    one, other = (silo(tmp_path, job).scores(states, 1.0) for _ in range(2))
    assert one == other
    assert [entry.purpose for entry in entries(tmp_path)] == [
        *["training"] * 3,
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
    spent = composed_epsilon(entries(tmp_path), delta=job.federation.privacy.delta)
    assert spent <= job.max_epsilon


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
        JobCoordinator(job, tmp_path / "server", images(60), owners, Silent()).run()


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


def statement(job, owner="south", **changes):
    seeded = job.seed is not None
    values = {
        "owner": owner,
        "epsilon": None,
        "delta": job.federation.privacy.delta,
        "records": 30.0,
        "score": 0.5,
        "shapley": 0.1,
        "shapley_low": 0.0,
        "shapley_high": 0.2,
        "leave_one_out": 0.0,
        "payouts": {"shapley": 100},
        "ledger": ledger_of(job.federation, job.noise_multiplier, seeded=seeded),
    }
    return Statement(**{**values, **changes}).model_dump_json()


def test_a_statement_is_kept_for_its_owner_and_no_other_is(tmp_path):
    job = made()
    kept = silo(tmp_path, job)
    with pytest.raises(DataError, match="a statement before the scores"):
        kept.keep_statement(statement(job))
    all_rounds(tmp_path, job)
    kept.scores(start().repeat(3, 1), 1.0)
    for text, said in (
        ("{}", "is no statement"),
        ("x" * 100, "is no statement"),
        (statement(job, owner="north"), "the statement is for north"),
        (statement(job, ledger=()), "does not follow from the job"),
        (statement(job, epsilon=1.0), "does not follow from the job"),
    ):
        with pytest.raises(DataError, match=said):
            kept.keep_statement(text)
        assert not kept.statement.exists()
    kept.keep_statement(statement(job))
    assert json.loads(kept.statement.read_text())["owner"] == "south"


@pytest.mark.parametrize("lie", [{"epsilon": 0.01}, {"epsilon": None}, {"delta": 1e-9}])
def test_a_statement_whose_epsilon_is_not_the_job_s_is_refused(tmp_path, lie):
    """With the right ledger beside it: the number is what the owner reads."""
    job = made(seed=None)
    kept = silo(tmp_path, job)
    all_rounds(tmp_path, job)
    kept.scores(start().repeat(3, 1), 1.0)
    delta = job.federation.privacy.delta
    books = ledger_of(job.federation, job.noise_multiplier)
    true = {"epsilon": composed_epsilon(books, delta=delta), "delta": delta}
    with pytest.raises(DataError, match="does not follow from the job"):
        kept.keep_statement(statement(job, **{**true, **lie}))
    assert kept.keep_statement(statement(job, **true)).owner == "south"


def test_scores_are_told_of_the_job_s_own_states_alone(tmp_path):
    job = made(seed=None)
    mine = silo(tmp_path, job)
    mine.update(0, start())
    for states, said in (
        (start().repeat(3, 1), "before round 2 was"),
        (start().repeat(16, 1), "the job scores 3 of them"),
        (start(), "the job scores 3 of them"),
    ):
        with pytest.raises(DataError, match=said):
            mine.scores(states, 1.0)
    all_rounds(tmp_path, job)
    with pytest.raises(DataError, match="not what round 1 began with"):
        mine.scores(2 * start().repeat(3, 1), 1.0)
    assert len(entries(tmp_path)) == 3
    mine.scores(start().repeat(3, 1), 1.0)
    assert len(entries(tmp_path)) == 4


def test_an_answer_the_ledger_knows_nothing_of_is_paid_when_the_silo_opens(tmp_path):
    job = made(seed=None)
    silo(tmp_path, job).update(0, start())
    kept = tmp_path / "rehearsal" / "round-0000.safetensors"
    (tmp_path / "rehearsal" / "round-0001.safetensors").write_bytes(kept.read_bytes())
    silo(tmp_path, job).update(0, start())
    assert len(entries(tmp_path)) == 2


def test_a_ledger_from_a_backup_is_not_spent_again(tmp_path):
    """Nine rounds were computed and three were in the ledger, which was put back four times."""
    job = made(seed=None)
    ledger = tmp_path / "ledger.jsonl"
    silo(tmp_path, job).update(0, start())
    old = ledger.read_bytes()
    silo(tmp_path, job).update(1, start())
    for content in (old, old[:-9], b""):
        ledger.write_bytes(content)
        for path in (tmp_path / "rehearsal").glob("round-*"):
            path.unlink()
        with pytest.raises(BudgetError, match="of the 2 entries that were written"):
            silo(tmp_path, job).update(2, start())
    ledger.unlink()
    with pytest.raises(BudgetError, match="gone or empty"):
        silo(tmp_path, job).update(2, start())


def test_what_the_server_has_and_the_ledger_never_paid_is_refused(tmp_path):
    """A folder that is begun anew elsewhere, for a job that had answers already."""
    job = made(seed=None)
    first = silo(tmp_path / "first", job)
    digests = {"0": sum_of(first.update(0, start()))}
    first.received(digests)
    again = silo(tmp_path / "again", job)
    with pytest.raises(BudgetError, match="has this owner's round 0, and the ledger does not"):
        again.received(digests)
    # And a round the server has is not computed a second time: that would be other noise.
    (tmp_path / "first" / "rehearsal" / "round-0000.safetensors").unlink()
    with pytest.raises(DataError, match="has the answer of round 0 already"):
        first.update(0, start())
    first.update(1, start())
    with pytest.raises(DataError, match="has another update of round 1 than was sent"):
        first.received({"1": "0" * 64})


def refusal(ask):
    try:
        ask()
    except DataError as error:
        return str(error)
    return "no refusal"


@pytest.mark.parametrize("name", ["round-0000.safetensors", "scores.json"])
def test_a_kept_answer_that_was_damaged_is_no_answer(tmp_path, name):
    job = made(seed=None)
    all_rounds(tmp_path, job)
    mine = silo(tmp_path, job)
    states = start().repeat(3, 1)
    mine.scores(states, 1.0)
    path = tmp_path / "rehearsal" / name
    whole = path.read_bytes()

    def ask():
        return mine.update(0, start()) if name.startswith("round") else mine.scores(states, 1.0)

    right = ask()
    rng = np.random.default_rng(0)
    for at in rng.choice(len(whole), size=min(60, len(whole)), replace=False):
        bit = 1 << int(rng.integers(8))
        path.write_bytes(whole[:at] + bytes([whole[at] ^ bit]) + whole[at + 1 :])
        said = refusal(ask)
        # A bit of white space or of an unused name: the answer itself is the same.
        assert "a kept answer is damaged" in said or "no refusal" in said
        if said == "no refusal":
            assert torch.equal(torch.as_tensor(ask()), torch.as_tensor(right))
    for cut in (0, 1, len(whole) // 2, len(whole) - 1):
        path.write_bytes(whole[:cut])
        with pytest.raises(DataError, match="a kept answer is damaged"):
            ask()


def test_a_job_that_is_not_what_it_promises_is_refused_by_the_owner(tmp_path):
    job = made(seed=None)
    job.check_noise()
    less = job.model_copy(update={"noise_multiplier": 0.3})
    with pytest.raises(ConfigError, match=r"says noise 0\.3, but its promise asks for 1\.5"):
        less.check_noise()
    with pytest.raises(ConfigError, match="30 images, but the job allows an owner 29"):
        silo(tmp_path, job.model_copy(update={"most_records": 29}))


def test_a_delta_that_promises_nothing_is_refused(tmp_path):
    with pytest.raises(ConfigError, match=r"delta 0\.5 is above 0\.01"):
        made(seed=None, privacy={"noise_multiplier": 1.5, "delta": 0.5})
    job = made(seed=None, privacy={"noise_multiplier": 4.0, "delta": 1e-2})
    big = images(600)
    with pytest.raises(ConfigError, match=r"delta 0\.01 promises nothing to 200 images"):
        Silo(job, "south", for_the_job(big[big.silo == 1], job), tmp_path)


def test_a_seed_is_in_the_ledger_as_what_it_is(tmp_path):
    silo(tmp_path, made()).update(0, start())
    assert [entry.mechanism for entry in entries(tmp_path)] == [SEEDED]
    # From then on no epsilon holds for this folder's images.
    with pytest.raises(BudgetError, match="would raise epsilon to inf"):
        silo(tmp_path, made(seed=None).model_copy(update={"name": "later"})).update(0, start())
    with pytest.raises(BudgetError, match="would raise epsilon to inf"):
        silo(tmp_path / "own", made(), max_epsilon=5.0).update(0, start())


@pytest.mark.parametrize("name", ["start", "rounds/0001"])
def test_a_server_s_kept_round_that_was_damaged_is_said_so(tmp_path, name):
    """With one bit turned the job went on and wrote its release without a word."""
    job, data, public = made(), images(), images(60, seed=5)
    owners = Direct(job, tmp_path, data, fails=2)
    with pytest.raises(DataError, match="the line is cut"):
        JobCoordinator(job, tmp_path / "server", public, owners, Silent()).run()
    path = tmp_path / "server" / f"{name}.safetensors"
    content = bytearray(path.read_bytes())
    content[-3] ^= 1
    path.write_bytes(content)
    with pytest.raises(DataError, match="a kept answer is damaged"):
        JobCoordinator(job, tmp_path / "server", public, owners, Silent()).run()


def test_a_job_without_noise_is_in_the_ledger_as_what_it_is(tmp_path):
    """After it a folder said that it had spent epsilon 0.00."""
    bare = made(seed=None, privacy=False)
    all_rounds(tmp_path, bare)
    assert {entry.mechanism for entry in entries(tmp_path)} == {EXACT}
    assert silo(tmp_path, bare).spent == math.inf
    with pytest.raises(BudgetError, match="would raise epsilon to inf"):
        silo(tmp_path, made(seed=None).model_copy(update={"name": "later"})).update(0, start())
    with pytest.raises(BudgetError, match="training without noise would raise epsilon to inf"):
        silo(tmp_path / "own", bare, max_epsilon=5.0).update(0, start())

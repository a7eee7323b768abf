"""Whatever a server or an owner sends on Flower, the other side refuses or uses."""

import random
import warnings

import pytest
import torch

from sudare.routes.federation.coordinator import Refused
from tests.fuzz.mutations import mutated
from tests.routes.test_federation_job import OWNERS, made

with warnings.catch_warnings():
    # Flower's command line imports a deprecated name of click; none of it is ours.
    warnings.simplefilter("ignore", DeprecationWarning)
    from flwr.app import Array, ArrayRecord, ConfigRecord, Message, RecordDict

    from sudare.routes.federation.flower import FlowerOwners, client_app
    from tests.routes.test_flower import _identity, parties

__all__ = ["_identity"]

ODD = (-1, 0, 2**62, 1e308, float("nan"), "", "x" * 5_000, "../../etc", "\x1b]0;x\x07", b"\xff", [])
SIZE = 619


def changed(content: RecordDict, rng: random.Random) -> RecordDict:
    """The content of a message with one thing in it as nobody would send it."""
    config = dict(content.config_records.get("config", {}))
    arrays = dict(content.array_records.get("arrays", {}))
    if config and (not arrays or rng.random() < 0.4):
        name = rng.choice(sorted(config))
        if rng.random() < 0.5:
            config[name] = rng.choice(ODD)
        elif isinstance(config[name], str) and rng.random() < 0.7:
            text = mutated(config[name].encode(), "x.json", rng)
            config[name] = text.decode(errors="replace")
        else:
            del config[name]
    elif arrays:
        name = rng.choice(sorted(arrays))
        arrays[rng.choice([name] * 9 + ["other"])] = rng.choice(WAYS)(arrays.pop(name), rng)
    found = RecordDict()
    if rng.random() < 0.97:
        found["config"] = ConfigRecord(config)
    if arrays and rng.random() < 0.97:
        found["arrays"] = ArrayRecord(array_dict=arrays)
    return found


def _another(old: Array, rng: random.Random) -> Array:
    return Array(rng.choice(TENSORS).numpy())


def _bytes(old: Array, rng: random.Random) -> Array:
    data = mutated(old.data, rng.choice(["x.npy", "x.npz"]), rng)
    return Array(dtype=old.dtype, shape=old.shape, stype=old.stype, data=data)


def _header(old: Array, rng: random.Random) -> Array:
    dtype = rng.choice([b"'<f4'", b"'|O' ", b"'<U9'", b"'|V9'", b"'<f8'"])
    shape = rng.choice([b"(619,)", b"(-1,) ", b"(9,9,)", b"(9**9)", b"(999,)"])
    data = old.data.replace(b"'<f4'", dtype).replace(b"(619,)", shape)
    return Array(dtype=old.dtype, shape=old.shape, stype=old.stype, data=data)


def _label(old: Array, rng: random.Random) -> Array:
    dtype, shape = rng.choice(["object", "\x1b", ""]), rng.choice([(), (10**12,), (-1,)])
    return Array(dtype=dtype, shape=shape, stype=rng.choice([old.stype, "pickle"]), data=old.data)


WAYS = (_another, _bytes, _header, _label)
TENSORS = (
    torch.zeros(0),
    torch.zeros(SIZE - 1),
    torch.zeros(1, SIZE),
    torch.zeros(500, SIZE),
    torch.zeros(SIZE, dtype=torch.float64),
    torch.zeros(SIZE, dtype=torch.int64),
    torch.full((SIZE,), torch.inf),
    torch.full((SIZE,), torch.nan),
)


def arrays_of(**tensors: torch.Tensor) -> ArrayRecord:
    return ArrayRecord(tensors)


QUESTIONS = {
    "train": lambda: RecordDict(
        {
            "arrays": arrays_of(weights=torch.full((SIZE,), 0.01)),
            "config": ConfigRecord({"job": "rehearsal", "round": 0}),
        }
    ),
    "query.scores": lambda: RecordDict(
        {
            "arrays": arrays_of(states=torch.full((2, SIZE), 0.01)),
            "config": ConfigRecord({"job": "rehearsal", "unit": 1.0}),
        }
    ),
    "query.farewell": lambda: RecordDict(
        {"config": ConfigRecord({"job": "rehearsal", "statement": "{}"})}
    ),
}


@pytest.mark.parametrize(
    ("count", "seed"),
    [
        pytest.param(60, 1, id="60"),
        pytest.param(3_000, 2, id="3000", marks=[pytest.mark.slow, pytest.mark.timeout(1800)]),
    ],
)
def test_an_owner_answers_or_refuses_whatever_it_is_asked(tmp_path, count, seed):
    contexts, _ = parties(tmp_path, made(seed=None))
    rng, answered = random.Random(seed), 0
    for number in range(count):
        kind = rng.choice(sorted(QUESTIONS))
        content = changed(QUESTIONS[kind](), rng)
        message = Message(content, dst_node_id=10, message_type=kind)
        message.metadata.__dict__["_message_id"] = message.object_id
        reply = client_app(message=message, context=contexts[10]).content
        log = tmp_path / "north" / "errors.log"
        assert not log.exists(), f"{number}: {log.read_text()}"
        said = reply.config_records.get("config", {})
        if "refused" in said:
            assert str(said["refused"]).isprintable()
            assert len(str(said["refused"])) < 300
        else:
            answered += 1
    assert 0 < answered < count


class Answering:
    """A grid whose nodes answer with mutated contents."""

    def __init__(self, answer, rng):
        self.answer, self.rng, self.waiting = answer, rng, {}

    def get_node_ids(self):
        return [10, 11, 12]

    def push_messages(self, messages):
        for message in messages:
            message.metadata.__dict__["_message_id"] = message.object_id
            content = self.answer()
            if self.rng.random() < 0.5:
                content = changed(content, self.rng)
            reply = Message(content, reply_to=message)
            self.waiting[message.object_id] = reply
        return [message.object_id for message in messages]

    def pull_messages(self, message_ids):
        return [self.waiting.pop(each) for each in message_ids if each in self.waiting]


@pytest.mark.parametrize("question", ["updates", "scores"])
def test_a_server_uses_or_refuses_whatever_owners_answer(tmp_path, question, capsys):
    answers = {
        "updates": lambda: RecordDict({"arrays": arrays_of(update=torch.zeros(SIZE))}),
        "scores": lambda: RecordDict({"config": ConfigRecord({"records": 12.5, "score": 0.5})}),
    }
    rng = random.Random(1)
    job = made().model_copy(update={"patience_s": 0.01})
    nodes = {owner: 10 + index for index, owner in enumerate(OWNERS)}
    used, refused = 0, []
    for _ in range(150):
        owners = FlowerOwners(Answering(answers[question], rng), job, nodes, tmp_path)
        if question == "updates":
            answers_of = owners.updates(0, torch.zeros(SIZE))
        else:
            answers_of = owners.scores(torch.zeros(2, SIZE), 1.0)
        for answer in answers_of.values():
            if isinstance(answer, Refused):
                refused.append(answer.reason)
            else:
                used += 1
    assert all(text.isprintable() for text in refused)
    assert refused
    assert used

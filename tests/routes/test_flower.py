"""A job on Flower: its apps in one process."""

import json
import warnings
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch

from sudare.accounting.ledger import Ledger
from sudare.releases.store import read_release
from sudare.routes import make_route
from sudare.routes.context import BuildContext
from sudare.routes.federation.job import write_job
from tests.routes.test_federation_job import OWNERS, images, made

with warnings.catch_warnings():
    # Flower's command line imports a deprecated name of click; none of it is ours.
    warnings.simplefilter("ignore", DeprecationWarning)
    from flwr.app import ArrayRecord, ConfigRecord, Context, Error, Message, RecordDict
    from flwr.supercore.task_identity import TaskIdentity

    from sudare.routes.federation.flower import client_app, server_app


class OneProcess:
    """A grid whose nodes are contexts of this process; `drop` loses the first message."""

    def __init__(self, contexts, drop=False):
        self.contexts, self.drop, self.replies, self.sent = contexts, drop, {}, []
        self.pool = ThreadPoolExecutor(1)

    def get_node_ids(self):
        return list(self.contexts)

    def push_messages(self, messages):
        for message in messages:
            message.metadata.__dict__["_message_id"] = message.object_id
            self.sent.append(message)
            lost, self.drop = self.drop, False
            self.replies[message.object_id] = (
                Message(Error(code=5, reason="node unavailable"), reply_to=message)
                if lost
                else client_app(
                    message=message, context=self.contexts[message.metadata.dst_node_id]
                )
            )
        return [message.object_id for message in messages]

    def pull_messages(self, message_ids):
        return [self.replies.pop(each) for each in message_ids if each in self.replies]


@pytest.fixture(autouse=True)
def _identity(monkeypatch):
    # What Flower's own processes set; a message cannot be made without it.
    for name in ("_task_id", "_run_id", "_node_id"):
        monkeypatch.setattr(TaskIdentity, name, 1)


def saved(path, data):
    path.parent.mkdir(parents=True, exist_ok=True)
    np.savez(
        path,
        images=data.images,
        labels=data.labels,
        unit=data.unit,
        class_names=np.array(data.class_names),
    )


def parties(tmp_path, job):
    """Files of a job's parties, the owners' contexts and the server's."""
    data = images()
    server = tmp_path / "job" / "server"
    server.mkdir(parents=True)
    write_job(job, tmp_path / "job" / "job.toml")
    saved(tmp_path / "public.npz", images(60, seed=5))
    contexts = {}
    for index, owner in enumerate(OWNERS):
        saved(tmp_path / owner / "images.npz", data[data.silo == index])
        contexts[10 + index] = Context(
            run_id=1,
            node_id=10 + index,
            node_config={
                "job": str(tmp_path / "job" / "job.toml"),
                "owner": owner,
                "data": str(tmp_path / owner / "images.npz"),
                "folder": str(tmp_path / owner),
            },
            state=RecordDict(),
            run_config={},
        )
    nodes = {owner: 10 + index for index, owner in enumerate(OWNERS)}
    (server / "nodes.json").write_text(json.dumps(nodes))
    run = {"folder": str(server), "public": str(tmp_path / "public.npz")}
    return contexts, Context(
        run_id=1, node_id=1, node_config={}, state=RecordDict(), run_config=run
    )


def in_one_process(job):
    built = make_route(job.federation).build(images(), BuildContext.of(images(60, seed=5), seed=3))
    return built.releases[job.federation.name]


def assert_same(found, expected):
    for name, tensor in expected.state.items():
        assert torch.allclose(found.state[name], tensor, atol=1e-6)
    for one, other in zip(found.card.spec.statements, expected.card.spec.statements, strict=True):
        assert one.payouts == other.payouts
        assert one.records == pytest.approx(other.records)


def test_flower_s_apps_make_the_same_federation_though_a_message_is_lost(tmp_path, capfd):
    job = made()
    contexts, own = parties(tmp_path, job)
    grid = OneProcess(contexts, drop=True)
    server_app(grid, own)
    assert_same(read_release(tmp_path / "job" / "server" / "release"), in_one_process(job))
    # Three rounds, scores and farewell for three owners, and one message twice.
    assert len(grid.sent) == 16
    assert "node unavailable" in capfd.readouterr().out
    for owner in OWNERS:
        statement = json.loads((tmp_path / owner / "rehearsal" / "statement.json").read_text())
        assert statement["owner"] == owner
        with Ledger(tmp_path / owner / "ledger.jsonl") as ledger:
            assert [entry.steps for entry in ledger.entries] == [2, 2, 2, 2]


def asked(context, kind="train", **config):
    content = RecordDict(
        {
            "arrays": ArrayRecord({"weights": torch.full((619,), 0.01)}),
            "config": ConfigRecord({"job": "rehearsal", "round": 0, **config}),
        }
    )
    message = Message(content, dst_node_id=10, message_type=kind)
    message.metadata.__dict__["_message_id"] = message.object_id
    return client_app(message=message, context=context).content["config"]


def test_what_an_owner_refuses_says_nothing_of_its_images_or_folders(tmp_path, monkeypatch):
    contexts, _ = parties(tmp_path, made(seed=None))
    assert asked(contexts[10], job="another")["refused"] == "this owner's job is rehearsal"
    assert asked(contexts[10], round=7)["refused"] == "round 7 is none of this job's 3"
    assert asked(contexts[10], round="x")["refused"] == "a message without round"
    assert asked(contexts[10], kind="query.scores")["refused"] == "a message without states"

    def broken(*args, **settings):
        raise ValueError("pixel 17 of patient Smith")

    monkeypatch.setattr("sudare.routes.federation.silo.local_update", broken)
    refused = asked(contexts[10])["refused"]
    assert refused == "its program failed; the owner's errors.log says why"
    assert "patient Smith" in (tmp_path / "north" / "errors.log").read_text()


def test_an_owner_whose_ledger_is_held_is_busy_and_not_broken(tmp_path):
    contexts, _ = parties(tmp_path, made(seed=None))
    with Ledger(tmp_path / "north" / "ledger.jsonl"):
        assert asked(contexts[10])["busy"] is True


def test_a_refusal_ends_the_job_with_its_reason(tmp_path):
    job = made(seed=None)
    contexts, own = parties(tmp_path, job)
    contexts[11].node_config["limit-epsilon"] = "0.5"
    with pytest.raises(Exception, match="south refuses: training would raise epsilon"):
        server_app(OneProcess(contexts), own)
    assert "south refuses" in (tmp_path / "job" / "server" / "failure.txt").read_text()


def test_an_owner_that_stays_away_is_named(tmp_path):
    job = made().model_copy(update={"patience_s": 1.0})
    contexts, own = parties(tmp_path, job)
    del contexts[12]
    with pytest.raises(Exception, match=r"east gave no answer in 1 s \(round 0\)"):
        server_app(OneProcess(contexts), own)

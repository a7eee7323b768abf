"""A job on Flower: what its ServerApp and ClientApp do with messages.

For simulation, and for sites that run Flower already. Flower's own processes start on an owner's
machine the app that its SuperLink sends, and its control interface has no login: what
`sudare federate server` and `client` promise of strangers holds for their own line only.
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Literal, TypeVar

import numpy as np
import torch
from flwr.app import ArrayRecord, ConfigRecord, Context, Message, RecordDict
from flwr.clientapp import ClientApp
from flwr.serverapp import Grid, ServerApp
from pydantic import ValidationError

from sudare.core.archives import array_of
from sudare.core.errors import DataError, SudareError
from sudare.core.files import atomic_write
from sudare.core.progress import Silent
from sudare.data.sources.registry import load_source
from sudare.routes.federation.answering import answered, guarded
from sudare.routes.federation.coordinator import Refused
from sudare.routes.federation.for_job import for_the_job, public_part
from sudare.routes.federation.job import JOB_FILE, Job, read_job
from sudare.routes.federation.job_coordinator import JobCoordinator
from sudare.routes.federation.silo import Silo
from sudare.routes.federation.wire import LONGEST_REASON, Answer, Question

client_app, server_app = ClientApp(), ServerApp()

_Kind = TypeVar("_Kind", int, float, str)
_POLL_S = 0.3
_FAREWELL_S = 90.0
NODES_FILE, FAILURE_FILE, WAITING_FILE = "nodes.json", "failure.txt", "waiting.txt"


# The owner's side.


@client_app.train()
def train(message: Message, context: Context) -> Message:
    """One round."""
    return _answer(message, context, "round")


@client_app.query("scores")
def scores(message: Message, context: Context) -> Message:
    """What the owner says of its records."""
    return _answer(message, context, "scores")


@client_app.query("farewell")
def farewell(message: Message, context: Context) -> Message:
    """The owner's statement: the job is over."""
    return _answer(message, context, "farewell")


def _answer(
    message: Message, context: Context, kind: Literal["round", "scores", "farewell"]
) -> Message:
    """The answer, or why there is none.

    An exception that left this function would go to the server with its trace.
    """
    content = message.content

    def work() -> tuple[Answer, torch.Tensor | None]:
        silo = _silo(context, _said(content, "job", str))
        return answered(silo, *_question(content, kind))

    errors = Path(str(context.node_config["folder"])) / "errors.log"
    answer, sent = guarded(work, number=0, errors=errors)
    said = ConfigRecord()
    if answer.kind == "refused":
        said["refused"] = answer.reason
    elif answer.kind == "busy":
        said["busy"] = True
    elif kind == "scores":
        said["records"], said["score"] = answer.records, answer.score
    reply = RecordDict({"config": said} if said else {})
    if sent is not None:
        reply["arrays"] = ArrayRecord({"update": sent})
    return Message(reply, reply_to=message)


def _question(
    content: RecordDict, kind: Literal["round", "scores", "farewell"]
) -> tuple[Question, torch.Tensor | None]:
    try:
        match kind:
            case "round":
                question = Question(kind=kind, round=_said(content, "round", int))
                return question, _tensor(content, "weights")
            case "scores":
                states = _tensor(content, "states")
                return Question(kind=kind, unit=_said(content, "unit", float)), states
            case "farewell":
                return Question(kind=kind, text=_said(content, "statement", str)), None
    except ValidationError as error:
        raise DataError(f"a {kind} that is out of range") from error


def _silo(context: Context, asked_for: str) -> Silo:
    own = context.node_config
    job = read_job(Path(str(own["job"])))
    if asked_for != job.name:
        raise DataError(f"this owner's job is {job.name}")
    size = own.get("image-size")
    source = load_source(str(own["data"]), image_size=int(str(size)) if size else None)
    limit = own.get("limit-epsilon")
    return Silo(
        job,
        str(own["owner"]),
        for_the_job(source.train, job),
        Path(str(own["folder"])),
        max_epsilon=float(str(limit)) if limit else None,
    )


def _tensor(content: RecordDict, name: str) -> torch.Tensor:
    # Flower's own reader believes a header, and passes on whatever numpy raises over it.
    arrays = content.array_records.get("arrays")
    if arrays is None or name not in arrays:
        raise DataError(f"a message without {name}")
    values = array_of(arrays[name].data, name)
    if values.dtype != np.float32:
        raise DataError(f"{name} of {values.dtype} instead of float32")
    return torch.from_numpy(np.array(values))


def _said(content: RecordDict, name: str, kind: type[_Kind]) -> _Kind:
    config = content.config_records.get("config")
    value = config.get(name) if config is not None else None
    if type(value) is not kind:
        raise DataError(f"a message without {name}")
    return value


# The server's side.


@server_app.main()
def main(grid: Grid, context: Context) -> None:
    """The whole job; what went wrong is left in a file, as nobody sees this process."""
    folder = Path(str(context.run_config["folder"]))
    try:
        job = read_job(folder.parent / JOB_FILE)
        source = load_source(str(context.run_config["public"]))
        public = public_part(source.train, job)
        nodes = {o: int(n) for o, n in json.loads((folder / NODES_FILE).read_text()).items()}
        JobCoordinator(job, folder, public, FlowerOwners(grid, job, nodes, folder), Silent()).run()
    except SudareError as error:
        atomic_write(folder / FAILURE_FILE, error.what)
        raise
    except Exception as error:
        atomic_write(folder / FAILURE_FILE, f"{type(error).__name__}: {error}")
        raise


class FlowerOwners:
    """Owners behind Flower nodes. A lost message is sent again; an owner answers it at no cost.

    Args:
        grid: Flower's way to the nodes.
        job: The job.
        nodes: Node number of each owner, by the key it was registered with.
        folder: Where to say who is waited for.
    """

    def __init__(self, grid: Grid, job: Job, nodes: Mapping[str, int], folder: Path) -> None:
        self._grid, self._job, self._nodes, self._folder = grid, job, nodes, folder

    def updates(self, number: int, weights: torch.Tensor) -> Mapping[str, torch.Tensor | Refused]:
        """Each owner's update of a round."""
        config = ConfigRecord({"job": self._job.name, "round": number})
        content = RecordDict({"arrays": ArrayRecord({"weights": weights}), "config": config})
        answers = self._ask("train", f"round {number}", dict.fromkeys(self._nodes, content))
        return {
            owner: answer if isinstance(answer, Refused) else _update(answer)
            for owner, answer in answers.items()
        }

    def scores(
        self, states: torch.Tensor, unit: float
    ) -> Mapping[str, tuple[float, float] | Refused]:
        """What each owner says of its records."""
        config = ConfigRecord({"job": self._job.name, "unit": unit})
        content = RecordDict({"arrays": ArrayRecord({"states": states}), "config": config})
        answers = self._ask("query.scores", "scores", dict.fromkeys(self._nodes, content))
        return {
            owner: answer if isinstance(answer, Refused) else _scores(answer)
            for owner, answer in answers.items()
        }

    def tell(self, statements: Mapping[str, str]) -> set[str]:
        """Hand each owner its statement; the release does not wait for one who left."""
        contents = {
            owner: RecordDict({"config": ConfigRecord({"job": self._job.name, "statement": text})})
            for owner, text in statements.items()
        }
        answers = self._ask("query.farewell", "statements", contents, patience_s=_FAREWELL_S)
        return {owner for owner, answer in answers.items() if not isinstance(answer, Refused)}

    def _ask(
        self,
        kind: str,
        group: str,
        contents: Mapping[str, RecordDict],
        *,
        patience_s: float | None = None,
    ) -> dict[str, RecordDict | Refused]:
        patience = patience_s or self._job.patience_s
        end = time.monotonic() + patience
        answers: dict[str, RecordDict | Refused] = {}
        under_way: dict[str, str] = {}
        while True:
            self._send(kind, group, contents, answers, under_way, ttl=patience)
            self._receive(answers, under_way)
            missing = [owner for owner in contents if owner not in answers]
            atomic_write(self._folder / WAITING_FILE, ", ".join(missing))
            if not missing:
                return answers
            if time.monotonic() > end:
                silent = Refused(f"gave no answer in {patience:g} s")
                return {**answers, **dict.fromkeys(missing, silent)}
            time.sleep(_POLL_S)

    def _send(
        self,
        kind: str,
        group: str,
        contents: Mapping[str, RecordDict],
        answers: Mapping[str, RecordDict | Refused],
        under_way: dict[str, str],
        *,
        ttl: float,
    ) -> None:
        """Ask whoever is there, has not answered and is not being asked."""
        online = set(self._grid.get_node_ids())
        for owner, content in contents.items():
            node = self._nodes[owner]
            if owner in answers or owner in under_way.values() or node not in online:
                continue
            message = Message(content, dst_node_id=node, message_type=kind, group_id=group, ttl=ttl)
            for sent in self._grid.push_messages([message]):
                under_way[sent] = owner

    def _receive(self, answers: dict[str, RecordDict | Refused], under_way: dict[str, str]) -> None:
        """Take what came; who is gone or busy is asked again."""
        for reply in self._grid.pull_messages(list(under_way)):
            owner = under_way.pop(reply.metadata.reply_to_message_id)
            if reply.has_error():
                print(f"{owner}: {reply.error.reason}", flush=True)
                continue
            said = reply.content.config_records.get("config") or ConfigRecord()
            if "refused" in said:
                answers[owner] = Refused(f"refuses: {str(said['refused'])[:LONGEST_REASON]}")
            elif "busy" not in said:
                answers[owner] = reply.content


def _update(answer: RecordDict) -> torch.Tensor | Refused:
    try:
        return _tensor(answer, "update")
    except DataError as error:
        return Refused(f"sent {error.what}")


def _scores(answer: RecordDict) -> tuple[float, float] | Refused:
    try:
        return _said(answer, "records", float), _said(answer, "score", float)
    except DataError:
        return Refused("sent no scores")

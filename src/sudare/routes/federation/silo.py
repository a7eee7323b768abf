"""An owner's side of a job: what it answers a server, from its own images, books and folder."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import torch
from pydantic import ValidationError
from scipy.special import ndtri

from sudare.accounting.ledger import (
    EXACT,
    SEEDED,
    Ledger,
    LedgerEntry,
    composed_epsilon,
)
from sudare.core.arrays import FloatArray
from sudare.core.errors import BudgetError, ConfigError, DataError
from sudare.core.files import atomic_write
from sudare.core.kept import keep_tensor, keep_values, kept_tensor, kept_values
from sudare.core.printable import escaped
from sudare.core.seeds import generator
from sudare.data.images import ImageDataset
from sudare.nets import build as build_net
from sudare.releases.kinds.federation import Statement
from sudare.routes.federation.fedavg import model_of, round_seed
from sudare.routes.federation.job import Job
from sudare.routes.federation.owner import (
    Owner,
    RecordScores,
    local_update,
    scores_entry,
    told,
    training_entry,
)
from sudare.routes.federation.settlement import ledger_of, scored_rounds
from sudare.routes.federation.wire import sum_of
from sudare.training.loop import TrainingData
from sudare.training.randomness import system_uniform

LEDGER_FILE, SCORES_FILE, STATEMENT_FILE = "ledger.jsonl", "scores.json", "statement.json"


class Silo:
    """Answers to a server's questions. An answer is kept: the same question costs nothing twice.

    What a round costs is in the ledger before the round begins. A round that was cut off before
    its answer was kept may have been computed, so it stays charged, and is charged again. An
    answer that the ledger knows nothing of is charged when the silo opens.

    Args:
        job: What was agreed on.
        owner: Name of this owner.
        data: Its images, as `for_the_job` gives them.
        folder: Its own folder, for ledger and answers; for nobody else's eyes.
        max_epsilon: What its ledger may reach; the job's if None.

    Raises:
        ConfigError: More records than the job allows, or so many that its delta promises nothing.
    """

    def __init__(
        self,
        job: Job,
        owner: str,
        data: ImageDataset,
        folder: Path,
        *,
        max_epsilon: float | None = None,
    ) -> None:
        self._job, self._owner, self._data, self._folder = job, owner, data, folder
        self._index = job.index(owner)
        _refuse_records(job, len(data))
        # From a seed nothing is promised, so there is no budget; only the owner's own limit holds.
        agreed = job.max_epsilon if job.seed is None else None
        self._limit = max_epsilon if max_epsilon is not None else agreed
        self._received: dict[str, str] = {}
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        self.folder.mkdir(exist_ok=True, mode=0o700)

    @property
    def folder(self) -> Path:
        """Where this job's answers lie."""
        return self._folder / self._job.name

    def received(self, rounds: Mapping[str, str]) -> None:
        """Take note of what the server has of this owner, as its signed record says.

        Args:
            rounds: Checksum of the update it has, by the round's number.

        Raises:
            BudgetError: The server has what the ledger never paid for: it was wound back.
        """
        self._received = dict(rounds)
        for number, digest in rounds.items():
            kept = self.folder / _round_file(int(number))
            if kept.exists() and sum_of(kept_tensor(kept)) != digest:
                raise DataError(f"the server has another update of round {number} than was sent")
        if not rounds:
            return
        with self._ledger() as ledger:
            paid = ledger.references
        unpaid = [n for n in rounds if self._reference(_round_file(int(n))) not in paid]
        if unpaid:
            raise BudgetError(
                f"the server has this owner's round {', '.join(unpaid)}, and the ledger does not: "
                "it is an older one",
                where=str(self._folder / LEDGER_FILE),
                fix="Put the newest ledger.jsonl back, with the answers beside it.",
            )

    def update(self, number: int, weights: torch.Tensor) -> torch.Tensor:
        """What this owner sends in a round: ``[P]``.

        Args:
            number: The round, from 0.
            weights: The common weights ``[P]``.

        Raises:
            DataError: No such round, weights that fit no net of the job, or a kept answer that is
                damaged.
            BudgetError: The ledger refuses, or another process of this owner holds it.
        """
        config = self._job.federation
        if not 0 <= number < config.rounds:
            raise DataError(f"round {number} is none of this job's {config.rounds}")
        name = _round_file(number)
        kept = self.folder / name
        net = self._net(weights)
        with self._ledger() as ledger:
            if not kept.exists():
                if str(number) in self._received:
                    raise DataError(f"the server has the answer of round {number} already")
                owner = Owner(
                    data=TrainingData.of(self._data.images, self._data.classes, device="cpu"),
                    rate=config.rate,
                    noise_multiplier=self._job.noise_multiplier,
                    expected_batch=config.expected_batch,
                )
                ledger.charge(self._cost(name), self._reference(name))
                sent = local_update(
                    net,
                    owner,
                    config.recipe,
                    config.privacy,
                    steps=config.local_steps,
                    seed=round_seed(self._job.parameters_seed, number, self._index),
                )
                # What came with the question, to know the states again that scores are asked for.
                keep_tensor(self._seen(number), weights)
                keep_tensor(kept, sent)
        return kept_tensor(kept)

    def scores(self, states: torch.Tensor, unit: float) -> tuple[float, float]:
        """Number of records and mean score along the rounds, both noised.

        Args:
            states: Common weights ``[s, P]`` after some of the rounds.
            unit: What counts as a score of 1.

        Raises:
            DataError: Rounds are still to come, or these are not the job's weights.
            BudgetError: As for `update`.
        """
        config = self._job.federation
        wanted = scored_rounds(config.rounds)
        if states.ndim != 2 or len(states) != len(wanted):
            raise DataError(
                f"states of shape {tuple(states.shape)}; the job scores {len(wanted)} of them"
            )
        if not 0 <= unit < math.inf:
            raise DataError("a unit of scores that is no finite number")
        kept = self.folder / SCORES_FILE
        with self._ledger() as ledger:
            if not kept.exists():
                self._refuse_states(states, wanted)
                ledger.charge(self._cost(SCORES_FILE), self._reference(SCORES_FILE))
                scored = RecordScores(
                    config.valuation.score, self._data.images, self._data.classes, device="cpu"
                )
                for state in states:
                    scored.add(self._net(state))
                records, score = told(
                    scored.scores(),
                    unit=unit,
                    valuation=config.valuation,
                    normal=self._normal() if config.privacy else None,
                )
                keep_values(kept, {"records": records, "score": score})
        said = kept_values(kept)
        return said["records"], said["score"]

    def keep_statement(self, statement: str) -> Statement:
        """Keep what the server says this owner brought and is paid.

        Raises:
            DataError: It is no statement, is another owner's, says an epsilon that does not follow
                from the job, or comes before there is anything to say.
        """
        try:
            said = Statement.model_validate_json(statement)
        except ValidationError as error:
            raise DataError("what the server sends is no statement") from error
        if said.owner != self._owner:
            raise DataError(f"the statement is for {escaped(said.owner)}")
        if self._job.missing == "wait" and not (self.folder / SCORES_FILE).exists():
            raise DataError("a statement before the scores were asked for")
        agreed = ledger_of(
            self._job.federation, self._job.noise_multiplier, seeded=self._job.seed is not None
        )
        privacy = self._job.federation.privacy
        promised = privacy if self._job.seed is None else None
        epsilon = composed_epsilon(agreed, delta=promised.delta) if promised else None
        delta = privacy.delta if privacy else 0.0
        follows = _same_number(said.epsilon, epsilon) and said.delta == delta
        if not follows or not _same_books(said.ledger, agreed):
            raise DataError("the statement's epsilon does not follow from the job")
        atomic_write(self.statement, said.model_dump_json())
        return said

    @property
    def statement(self) -> Path:
        """Where the statement lies once the job is over."""
        return self.folder / STATEMENT_FILE

    @property
    def rounds(self) -> int:
        """Rounds that are answered."""
        return len(list(self.folder.glob("round-*.safetensors")))

    @property
    def spent(self) -> float:
        """Epsilon of all that this owner's folder paid for, whatever the job."""
        with self._ledger() as ledger:
            return ledger.epsilon

    def _reference(self, answer: str) -> str:
        return f"{self._job.name}/{answer}"

    def _seen(self, number: int) -> Path:
        return self.folder / f"weights-{number:04d}.safetensors"

    def _cost(self, answer: str) -> LedgerEntry:
        """What an answer costs; no noise, or noise from a seed, is said to protect nothing."""
        config = self._job.federation
        if config.privacy is None:
            return LedgerEntry(
                purpose="scores without noise"
                if answer == SCORES_FILE
                else "training without noise",
                mechanism=EXACT,
                accountant="none",
                noise_multiplier=0.0,
                sample_rate=config.rate,
                steps=config.local_steps,
                delta=0.0,
                epsilon=0.0,
            )
        entry = (
            scores_entry(config)
            if answer == SCORES_FILE
            else training_entry(config, self._job.noise_multiplier, steps=config.local_steps)
        )
        return entry if self._job.seed is None else entry.model_copy(update={"mechanism": SEEDED})

    @contextlib.contextmanager
    def _ledger(self) -> Iterator[Ledger]:
        """The owner's ledger, once it knows of every answer that is kept here."""
        privacy = self._job.federation.privacy
        with Ledger(
            self._folder / LEDGER_FILE,
            delta=privacy.delta if privacy else 1e-5,
            max_epsilon=self._limit,
        ) as ledger:
            for answer in self._answers():
                if self._reference(answer) not in ledger.references:
                    ledger.charge(self._cost(answer), self._reference(answer), spent=True)
            yield ledger

    def _answers(self) -> list[str]:
        rounds = sorted(path.name for path in self.folder.glob("round-*.safetensors"))
        return [*rounds, *([SCORES_FILE] if (self.folder / SCORES_FILE).exists() else [])]

    def _refuse_states(self, states: torch.Tensor, wanted: Sequence[int]) -> None:
        """Refuse states before all rounds are over, or that are not the weights of those rounds.

        Raises:
            DataError: They are.
        """
        rounds = self._job.federation.rounds
        # A round that went on without this owner was never asked of it.
        last = self.folder / _round_file(rounds - 1)
        if self._job.missing == "wait" and not last.exists():
            raise DataError(f"scores are asked for before round {rounds - 1} was")
        for row, number in enumerate(wanted):
            seen = self._seen(number + 1)
            if seen.exists() and not torch.equal(kept_tensor(seen), states[row]):
                raise DataError(f"a state that is not what round {number + 1} began with")

    def _net(self, weights: torch.Tensor) -> torch.nn.Module:
        net = _empty_net(self._job)
        size = sum(parameter.numel() for parameter in net.parameters())
        if weights.shape != (size,) or weights.dtype != torch.float32:
            raise DataError(f"weights of shape {tuple(weights.shape)} for a net of {size:,}")
        if not bool(torch.isfinite(weights).all()):
            raise DataError("weights that are not finite")
        return model_of(net, weights)

    def _normal(self) -> FloatArray:
        if self._job.seed is not None:
            return generator(self._job.seed, "released scores", self._index).standard_normal(2)
        drawn: FloatArray = ndtri(system_uniform(2))
        return drawn


def parameters_of(job: Job) -> int:
    """Parameters of a job's net."""
    return sum(parameter.numel() for parameter in _empty_net(job).parameters())


def _empty_net(job: Job) -> torch.nn.Module:
    return build_net(
        job.federation.net, image_shape=job.image_shape, n_classes=len(job.class_names), seed=0
    )


def _same_number(one: float | None, two: float | None) -> bool:
    """Whether two epsilons are one; accountants of two machines differ in the last digits."""
    if one is None or two is None:
        return one is two
    return math.isclose(one, two, rel_tol=1e-3)


def _same_books(one: Sequence[LedgerEntry], two: Sequence[LedgerEntry]) -> bool:
    """Whether two ledgers say the same, but for the last digits of epsilon."""

    def mechanisms(ledger: Sequence[LedgerEntry]) -> list[LedgerEntry]:
        return [entry.model_copy(update={"epsilon": 0.0}) for entry in ledger]

    return mechanisms(one) == mechanisms(two) and all(
        _same_number(a.epsilon, b.epsilon) for a, b in zip(one, two, strict=True)
    )


def _round_file(number: int) -> str:
    return f"round-{number:04d}.safetensors"


def _refuse_records(job: Job, records: int) -> None:
    """Refuse what a job cannot promise anything to.

    Raises:
        ConfigError: More records than it allows, or a delta of one record or more.
    """
    if records > job.limit_of_records:
        raise ConfigError(
            f"{records:,} images, but the job allows an owner {job.limit_of_records:,}",
            where="most_records",
            fix="Take part with fewer, or ask for a job with a larger most_records.",
        )
    privacy = job.federation.privacy
    if privacy is not None and privacy.delta * records >= 1:
        raise ConfigError(
            f"delta {privacy.delta:g} promises nothing to {records:,} images: it must be below "
            f"1/{records:,}",
            where="federation.privacy.delta",
            fix="Do not take part; ask for a job with a smaller delta.",
        )

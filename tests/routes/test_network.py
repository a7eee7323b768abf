"""A job over a network: who gets in, what is refused, and what a cut-off party does to the rest."""

import json
import socket
import ssl
import subprocess
import sys
import threading
import time
import warnings
from pathlib import Path

import grpc
import pytest
import torch

from sudare.accounting.ledger import Ledger
from sudare.core.errors import BudgetError, ConfigError, DataError, MissingExtraError
from sudare.core.progress import Silent
from sudare.releases.store import read_release
from sudare.routes.federation import keys, ranges
from sudare.routes.federation.job import write_job
from sudare.routes.federation.job_coordinator import JobCoordinator
from sudare.routes.federation.joining import OwnersPart, run_owner
from sudare.routes.federation.line import Line
from sudare.routes.federation.owner import local_update
from sudare.routes.federation.rehearsal import unused_port
from sudare.routes.federation.serving import prepare_server, run_server
from sudare.routes.federation.wire import Answer, Ask, Question, pack, sum_of, unpack
from tests.routes.test_federation_job import OWNERS, Direct, images, made
from tests.routes.test_flower import assert_same, in_one_process, saved

SIZE = 619


@pytest.fixture(autouse=True)
def _one_at_a_time(monkeypatch):
    """Owners are processes; as threads of one they would share Python's list of warnings."""
    lock = threading.Lock()

    def alone(*args, **settings):
        with lock:
            return local_update(*args, **settings)

    monkeypatch.setattr("sudare.routes.federation.silo.local_update", alone)


class Parties:
    """Files of a job's parties, and threads or processes that take their parts."""

    def __init__(self, folder, job=None, **changes):
        address = f"127.0.0.1:{unused_port()}"
        self.job = (job or made(seed=None)).model_copy(update={"address": address, **changes})
        self.folder, self.place = folder, folder / "job"
        write_job(self.job, self.place / "job.toml")
        prepare_server(self.place, self.job)
        (self.place / "keys").mkdir()
        saved(folder / "public.npz", images(60, seed=5))
        data = images()
        for index, owner in enumerate(OWNERS):
            saved(folder / owner / "images.npz", data[data.silo == index])
            public = keys.make_key(folder / owner / "key")
            (self.place / "keys" / f"{owner}.crt").write_bytes(public.read_bytes())

    def part(self, owner, **changes):
        values = {
            "job": self.place / "job.toml",
            "owner": owner,
            "data": str(self.folder / owner / "images.npz"),
            "key": self.folder / owner / "key",
            "authority": self.place / "ca.crt",
            "folder": self.folder / owner / "own",
        }
        return OwnersPart(**{**values, **changes})

    def own(self, owner, name=""):
        return self.folder / owner / "own" / self.job.name / name

    def serve(self):
        return run_server(self.place, public=str(self.folder / "public.npz"), progress=Silent())

    def join(self, owner, **changes):
        return run_owner(self.part(owner, **changes), agrees=lambda terms: True, progress=Silent())

    def line(self, owner="north", **changes):
        key, certificate = keys.key_of(self.folder / owner / "key")
        given = {
            "authority": (self.place / "ca.crt").read_bytes(),
            "key": key,
            "certificate": certificate,
            "parameters": SIZE,
        }
        return Line(self.job, self.job.address, **{**given, **changes})

    def all_at_once(self, parts):
        """Run functions in threads of their own; what each gave or raised."""
        found = {}

        def run(name, work):
            try:
                found[name] = work()
            except Exception as error:
                found[name] = error

        threads = [threading.Thread(target=run, args=each) for each in parts.items()]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(120)
        return found

    def whole(self, **liars):
        """Server and owners at once; `liars` take the place of an owner's part."""
        parts = {o: (lambda o=o: self.join(o)) for o in OWNERS}
        return self.all_at_once({"server": self.serve, **parts, **liars})


def test_a_job_over_tls_ends_in_a_release_and_a_statement_for_each(tmp_path):
    parties = Parties(tmp_path, made())
    found = parties.whole()
    assert found["server"] == parties.place / "server" / "release"
    assert len(read_release(found["server"]).card.spec.statements) == 3
    for owner in OWNERS:
        assert json.loads(found[owner].read_text())["owner"] == owner
        with Ledger(tmp_path / owner / "own" / "ledger.jsonl") as ledger:
            assert [entry.steps for entry in ledger.entries] == [2, 2, 2, 2]
        for path in (tmp_path / owner / "own").rglob("*"):
            assert path.stat().st_mode & 0o077 == 0, path
    # It is over: the server needs nobody, and an owner has its statement.
    assert parties.serve() == found["server"]
    assert parties.join("north") == found["north"]


class Serving:
    """A server in a thread, for those who knock at it."""

    def __init__(self, parties):
        self.parties = parties

    def __enter__(self):
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()
        host, port = self.parties.job.address.split(":")
        for _ in range(200):
            with socket.socket() as probe:
                if probe.connect_ex((host, int(port))) == 0:
                    return self
            time.sleep(0.05)
        raise AssertionError("the server did not start")

    def _run(self):
        try:
            self.parties.serve()
        except DataError as error:
            self.error = error

    def __exit__(self, *about):
        self.thread.join(60)


def handshake(parties, pair=None, version=None):
    """What a TLS client with the job's ca.crt is told; nothing if it is shut out."""
    context = ssl.create_default_context(cafile=parties.place / "ca.crt")
    context.set_alpn_protocols(["h2"])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        context.maximum_version = version or ssl.TLSVersion.TLSv1_3
    if pair:
        context.load_cert_chain(pair)
    host, port = parties.job.address.split(":")
    try:
        with (
            socket.create_connection((host, int(port)), 5) as raw,
            context.wrap_socket(raw, server_hostname=host) as line,
        ):
            line.sendall(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00\x00\x04\x00\x00\x00\x00\x00")
            return line.recv(1 << 16)
    except (ssl.SSLError, ConnectionError):
        return b""


def test_who_holds_ca_crt_alone_does_not_get_past_the_handshake(tmp_path):
    """It could run any program at every owner, list nodes and unregister them."""
    parties = Parties(tmp_path, patience_s=8.0)
    stranger = keys.make_key(tmp_path / "stranger").with_suffix("")
    with Serving(parties):
        assert handshake(parties) == b""
        assert handshake(parties, stranger) == b""
        assert handshake(parties, tmp_path / "north" / "key", ssl.TLSVersion.TLSv1_1) == b""
        # An owner's own certificate opens, so what is shut out above is shut out by its own.
        assert handshake(parties, tmp_path / "north" / "key") != b""


def raw_call(parties, owner, method, content):
    key, certificate = keys.key_of(parties.folder / owner / "key")
    authority = (parties.place / "ca.crt").read_bytes()
    credentials = grpc.ssl_channel_credentials(authority, key, certificate)
    with grpc.secure_channel(parties.job.address, credentials) as channel:
        try:
            return channel.unary_unary(method)(content, timeout=10)
        except grpc.RpcError as error:
            return error.code().name


def test_an_owner_s_key_opens_two_calls_of_that_owner_and_nothing_else(tmp_path):
    parties = Parties(tmp_path, patience_s=8.0)
    with Serving(parties):
        for method in (
            "/flwr.proto.Control/StartRun",
            "/flwr.proto.Control/ListNodes",
            "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo",
            "/sudare.Federation/Register",
            "/",
        ):
            assert raw_call(parties, "north", method, b"") == "UNIMPLEMENTED"
        ask, answer = "/sudare.Federation/Ask", "/sudare.Federation/Answer"
        assert raw_call(parties, "north", ask, b"\xff" * 40) == "INVALID_ARGUMENT"
        assert raw_call(parties, "north", answer, b"") == "INVALID_ARGUMENT"
        assert raw_call(parties, "north", ask, pack(Ask(job="0" * 64))) == "FAILED_PRECONDITION"
        too_long = b"\0" * (4 * 16 * SIZE + (1 << 22) + 100)
        assert raw_call(parties, "north", answer, too_long) == "RESOURCE_EXHAUSTED"
        question, weights = unpack(
            raw_call(parties, "north", ask, pack(Ask(job=parties.job.digest))), Question
        )
        assert (question.kind, weights.shape) == ("round", (SIZE,))
        # An answer in another's name does not exist: south is still waited for.
        named = Answer(kind="answer", number=question.number)
        assert raw_call(parties, "north", answer, pack(named, torch.zeros(SIZE))) == b""


def test_another_server_is_not_talked_to(tmp_path):
    parties, other = Parties(tmp_path / "one"), Parties(tmp_path / "other")
    parties.job = parties.job.model_copy(update={"patience_s": 5.0})
    write_job(parties.job, parties.place / "job.toml")
    with Serving(parties), pytest.raises(ConfigError, match="is not under ca"):
        parties.join("north", authority=other.place / "ca.crt")
    assert not parties.own("north", "round-0000.safetensors").exists()


def test_a_server_that_is_not_there_is_said_so_after_the_job_s_patience(tmp_path):
    parties = Parties(tmp_path, patience_s=1.0)
    with pytest.raises(ConfigError, match="did not answer in 1 s, or does not take this key"):
        parties.join("north")


def test_what_fails_at_the_server_says_nothing_of_it_to_owners(tmp_path, monkeypatch, capfd):
    parties = Parties(tmp_path, patience_s=6.0)

    def broken(self, owner):
        raise ValueError("/srv/secret")

    monkeypatch.setattr("sudare.routes.federation.serving.Receipts.__call__", broken)
    with Serving(parties), pytest.raises(ConfigError, match="what it printed says why") as told:
        parties.join("north")
    assert "/srv/secret" not in str(told.value)
    assert "/srv/secret" in capfd.readouterr().err


def test_a_server_may_listen_elsewhere_than_owners_dial(tmp_path):
    parties = Parties(tmp_path, made(), patience_s=20.0)
    port = parties.job.address.rpartition(":")[2]
    parties.serve = lambda: run_server(
        parties.place,
        public=str(tmp_path / "public.npz"),
        progress=Silent(),
        listen=f"0.0.0.0:{port}",
    )
    assert parties.whole()["server"] == parties.place / "server" / "release"


def test_two_servers_do_not_share_a_port(tmp_path):
    parties = Parties(tmp_path, patience_s=3.0)
    with Serving(parties), pytest.raises(ConfigError, match="cannot be listened on"):
        parties.serve()


def test_two_owners_do_not_share_a_certificate(tmp_path):
    parties = Parties(tmp_path)
    certificates = parties.place / "keys"
    (certificates / "south.crt").write_bytes((certificates / "north.crt").read_bytes())
    with pytest.raises(ConfigError, match="two owners have the same certificate"):
        parties.serve()


def test_a_server_says_what_is_missing_before_it_starts_anything(tmp_path):
    with pytest.raises(ConfigError, match="there is no job file"):
        run_server(tmp_path, public="digits", progress=Silent())
    write_job(made(), tmp_path / "job.toml")
    with pytest.raises(ConfigError, match="no certificate of 3 owners"):
        run_server(tmp_path, public="digits", progress=Silent())
    parties = Parties(tmp_path / "whole")
    certificate = parties.place / "keys" / "east.crt"
    certificate.write_bytes((tmp_path / "whole" / "east" / "key").read_bytes())
    with pytest.raises(ConfigError, match="a private key, which its owner alone should have"):
        parties.serve()
    certificate.write_text("-----BEGIN")
    with pytest.raises(ConfigError, match="this is no certificate"):
        parties.serve()


def test_an_owner_is_told_what_is_wrong_before_it_dials(tmp_path):
    parties = Parties(tmp_path)
    for change, said in (
        ({"key": tmp_path / "none"}, "there is no key"),
        ({"authority": tmp_path / "none"}, "there is no certificate of the job"),
        ({"owner": "west"}, "'west' is no owner of the job"),
        ({"key": parties.place / "job.toml"}, "others may read this key"),
        ({"key": parties.place / "server" / "server.key"}, "holds no key with its certificate"),
    ):
        part = parties.part(change.pop("owner", "north"), **change)
        with pytest.raises(ConfigError, match=said):
            run_owner(part, agrees=lambda terms: True, progress=Silent())


def test_keys_and_certificates_are_for_their_owners_alone(tmp_path):
    public = keys.make_key(tmp_path / "keys" / "north")
    assert b"PRIVATE" not in public.read_bytes()
    assert (tmp_path / "keys" / "north").stat().st_mode & 0o777 == 0o600
    with pytest.raises(ConfigError, match="there is a key already"):
        keys.make_key(tmp_path / "keys" / "north")
    prepare_server(tmp_path / "job", made())
    assert (tmp_path / "job" / "server" / "server.key").stat().st_mode & 0o777 == 0o600
    before = (tmp_path / "job" / "ca.crt").read_bytes()
    prepare_server(tmp_path / "job", made())
    assert (tmp_path / "job" / "ca.crt").read_bytes() == before


def test_without_grpc_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "grpc", None)
    with pytest.raises(MissingExtraError, match=r"sudare\[federation\]"):
        keys.need_network()


# What an owner agrees to.


def shown(parties, owner="north", **changes):
    texts = []

    def agrees(terms):
        texts.append(terms)
        return False

    with pytest.raises(ConfigError, match="you did not agree; nothing was sent"):
        run_owner(parties.part(owner, **changes), agrees=agrees, progress=Silent())
    assert not list(parties.own(owner).glob("round-*"))
    return " ".join(texts[0].split())


def test_an_owner_sees_whom_what_and_at_what_price_before_anything_is_sent(tmp_path):
    parties = Parties(tmp_path)
    text = shown(parties, limit_epsilon=7.5)
    assert f"Server: {parties.job.address}, under the authority" in text
    assert "one noised update a round for 3 rounds" in text
    assert "at delta 0.001 for one of your 30 images" in text
    assert "has spent epsilon 0.00 and ends at 7.50" in text
    assert "by shapley, out of 1,000.00" in text


def test_an_owner_is_told_where_there_is_no_privacy(tmp_path):
    assert "NOT PRIVATE. The job has a seed" in shown(Parties(tmp_path / "seed", made()))
    bare = made(seed=None, privacy=False)
    assert "NOT PRIVATE. Nothing is noised" in shown(Parties(tmp_path / "bare", bare))


def test_who_agreed_is_asked_again_only_if_the_terms_change(tmp_path):
    parties = Parties(tmp_path, patience_s=0.5)
    asked = []

    def agrees(terms):
        asked.append(terms)
        return True

    for limit in (None, None, 5.0):
        with pytest.raises(ConfigError, match="did not answer"):
            run_owner(parties.part("north", limit_epsilon=limit), agrees=agrees, progress=Silent())
    assert len(asked) == 2


def test_answers_of_one_job_are_not_sent_to_another_of_its_name(tmp_path):
    parties = Parties(tmp_path, made(), patience_s=20.0)
    assert isinstance(parties.whole()["server"], Path)
    changed = parties.job.model_copy(update={"patience_s": 1.0})
    write_job(changed, parties.place / "job.toml")
    with pytest.raises(ConfigError, match="the job was changed after its first round"):
        parties.serve()
    parties.own("north", "statement.json").unlink()
    with pytest.raises(ConfigError, match="another job called rehearsal was answered here"):
        parties.join("north")


# Lies.


def answers(parties, owner, change):
    """An owner's part whose answers are changed on their way out."""

    def work():
        original = Line.answer

        def lying(self, answer, tensor=None):
            if self is mine:
                answer, tensor = change(answer, tensor)
            original(self, answer, tensor)

        with pytest.MonkeyPatch.context() as patched:
            mine = None
            made_line = Line.__init__

            def noted(self, *args, **settings):
                nonlocal mine
                made_line(self, *args, **settings)
                if settings["certificate"] == keys.key_of(parties.folder / owner / "key")[1]:
                    mine = self

            patched.setattr(Line, "__init__", noted)
            patched.setattr(Line, "answer", lying)
            return parties.join(owner)

    return work


LIES = {
    "far too large": (lambda a, t: (a, 1e20 * t if t is not None else t), "update of norm"),
    "fifty times and turned": (lambda a, t: (a, -50 * t if t is not None else t), "update of norm"),
    "not finite": (lambda a, t: (a, t / 0 if t is not None else t), "update that is not finite"),
    "another shape": (lambda a, t: (a, t[:5] if t is not None else t), "update of shape"),
    "nothing": (lambda a, t: (a, None), "sent no update"),
    "too many records": (
        lambda a, t: (a.model_copy(update={"records": 1e6}) if t is None else a, t),
        "says it has 1e\\+06 records",
    ),
    "too high a score": (
        lambda a, t: (a.model_copy(update={"score": 1e308}) if t is None else a, t),
        "says its records score",
    ),
}


@pytest.mark.parametrize("lie", sorted(LIES))
@pytest.mark.parametrize("missing", ["wait", "skip"])
def test_a_lie_is_refused_in_its_own_name_before_it_counts(tmp_path, lie, missing):
    change, said = LIES[lie]

    class Liar(Direct):
        def updates(self, number, weights):
            sent = super().updates(number, weights)
            _, lied = change(Answer(kind="answer"), sent["south"])
            return {**sent, "south": lied}

        def scores(self, states, unit):
            told = super().scores(states, unit)
            records, score = told["south"]
            lied, _ = change(Answer(kind="answer", records=records, score=score), None)
            return {**told, "south": (lied.records, lied.score)}

    job = made(seed=None).model_copy(update={"missing": missing})
    owners = Liar(job, tmp_path, images())
    coordinator = JobCoordinator(job, tmp_path / "server", images(60, seed=5), owners, Silent())
    if missing == "wait":
        with pytest.raises(DataError, match=f"south .*{said}"):
            coordinator.run()
        assert not (tmp_path / "server" / "release").exists()
        return
    release = read_release(coordinator.run())
    statements = {s.owner: s for s in release.card.spec.statements}
    assert all(torch.isfinite(v).all() for v in release.state.values())
    # It is paid no more than an owner that did nothing, and its epsilon is what it agreed to.
    liar, honest = statements["south"], statements["north"]
    about_scores = "records" in lie or "score" in lie
    assert liar.skipped == (0 if about_scores else 3)
    assert liar.payouts["score-sum" if about_scores else "shapley"] == 0
    assert liar.epsilon == honest.epsilon
    if not about_scores:
        assert release.card.settings["rounds without south"] == "3"


def test_an_honest_owner_is_in_range_whatever_the_job(tmp_path):
    """Many rounds of many jobs, and none is refused; a third of the largest would refuse some."""
    closest = 0.0
    for seed, changes in enumerate(
        (
            {},
            {"recipe": {"lr": 2.0, "momentum": 0.9, "weight_decay": 0.01, "augmentation": []}},
            {"local_steps": 12, "privacy": {"noise_multiplier": 0.4, "delta": 1e-3}},
            {"rate": 1.0, "privacy": {"noise_multiplier": 20.0, "delta": 1e-3}},
            {"privacy": False},
            {"recipe": {"lr": 0.01, "optimizer": "adam", "augmentation": []}},
        )
    ):
        job = made(seed=seed, **changes)
        owners = Direct(job, tmp_path / str(seed), images(seed=seed))
        here = torch.randn(SIZE, generator=torch.Generator().manual_seed(seed)) / 5
        for number in range(3):
            for sent in owners.updates(number, here).values():
                assert ranges.wrong_update(job, here, sent) == ""
                closest = max(closest, float(sent.norm()) / ranges.largest_update(job, here))
    assert 1 / 3 < closest < 1


def test_a_lying_owner_on_the_network_ends_the_job_under_its_own_name(tmp_path):
    parties = Parties(tmp_path, patience_s=20.0)
    lying = answers(parties, "south", LIES["far too large"][0])
    found = parties.whole(south=lying)
    assert "south sent an update of norm" in str(found["server"])
    for owner in OWNERS:
        assert "the server ended the job: south sent an update of norm" in str(found[owner])


# What a party that is cut off does to the rest.


def test_an_owner_that_refuses_says_why_and_the_others_learn_of_it(tmp_path):
    parties = Parties(tmp_path, patience_s=20.0)
    found = parties.whole(south=lambda: parties.join("south", limit_epsilon=0.5))
    assert "south refuses: training would raise epsilon" in str(found["server"])
    assert "the server ended the job: south refuses" in str(found["north"])


def test_a_round_goes_on_without_an_owner_that_stays_away_if_the_job_says_so(tmp_path):
    parties = Parties(tmp_path, made(), patience_s=4.0, missing="skip")
    found = parties.whole(east=lambda: None)
    release = read_release(found["server"])
    assert release.card.settings["rounds without east"] == "3"
    waits = Parties(tmp_path / "waits", made(), patience_s=3.0)
    found = waits.whole(east=lambda: None)
    assert "east gave no answer in 3 s (round 0)" in str(found["server"])


def test_an_owner_with_an_older_ledger_sends_nothing(tmp_path):
    parties = Parties(tmp_path, patience_s=15.0)
    found = parties.whole(south=lambda: parties.join("south", limit_epsilon=2.2))
    assert "south refuses" in str(found["server"])
    rounds = len(list(parties.own("south").glob("round-*")))
    assert rounds
    # Its folder is begun anew, as if a backup from before were restored whole.
    found = parties.whole(
        south=lambda: parties.join("south", folder=tmp_path / "south" / "again", limit_epsilon=9.0)
    )
    assert "the server has this owner's round 0" in str(found["south"])
    assert isinstance(found["south"], BudgetError)
    assert not list((tmp_path / "south" / "again").rglob("round-*"))


def command(parties, party):
    base = [sys.executable, "-P", "-m", "sudare", "federate"]
    if party == "server":
        return [*base, "server", str(parties.place), "--public", str(parties.folder / "public.npz")]
    own = parties.folder / party
    return [
        *(*base, "client", str(parties.place / "job.toml"), "--owner", party, "--yes"),
        *("--data", str(own / "images.npz"), "--key", str(own / "key")),
        *("--ca", str(parties.place / "ca.crt"), "--folder", str(own / "own")),
    ]


def started(parties, party):
    log = (parties.folder / f"{party}.log").open("ab")
    with log:
        return subprocess.Popen(command(parties, party), stdout=log, stderr=log)


@pytest.mark.parametrize(
    "kills",
    [3, pytest.param(30, marks=[pytest.mark.slow, pytest.mark.timeout(1800)])],
)
def test_whoever_is_killed_the_same_commands_end_in_the_same_release(tmp_path, kills):
    """SIGKILL of single parties and of all; models, payouts and books as if nothing had been."""
    parties = Parties(tmp_path, made(), patience_s=60.0)
    names = ["server", *OWNERS]
    running = {name: started(parties, name) for name in names}
    try:
        for number in range(kills):
            time.sleep(2.5 + 0.4 * (number % 5))
            victims = names if number % 7 == 6 else [names[number % len(names)]]
            for name in victims:
                running[name].kill()
                running[name].wait()
            for name in victims:
                running[name] = started(parties, name)
        for name in names:
            assert running[name].wait(180) == 0, (tmp_path / f"{name}.log").read_text()
    finally:
        for process in running.values():
            process.kill()
    assert_same(read_release(parties.place / "server" / "release"), in_one_process(parties.job))
    for owner in OWNERS:
        with Ledger(tmp_path / owner / "own" / "ledger.jsonl") as ledger:
            # Each answer is paid; what was cut off between payment and answer is paid twice.
            assert len(ledger.references) == 4
            assert 4 <= len(ledger.entries) <= 4 + kills
        assert json.loads(parties.own(owner, "statement.json").read_text())["owner"] == owner
    left = subprocess.run(["pgrep", "-f", str(tmp_path)], capture_output=True, check=False)
    assert left.stdout == b""


def test_what_a_rehearsal_started_ends_with_it(tmp_path):
    net = "federation.net={name='mlp', width=8}"
    rehearsal = subprocess.Popen(
        [
            *(sys.executable, "-m", "sudare", "federate", "rehearse", str(tmp_path / "three")),
            *("--data", "digits", "--rounds", "40", "--epsilon", "0", "--set", net),
        ],
        stdout=subprocess.DEVNULL,
    )
    log = tmp_path / "three" / "east" / "client.log"
    for _ in range(600):
        if log.exists():
            break
        time.sleep(0.1)
    time.sleep(1)
    rehearsal.kill()
    rehearsal.wait()
    for _ in range(100):
        left = subprocess.run(["pgrep", "-f", str(tmp_path)], capture_output=True, check=False)
        if not left.stdout:
            break
        time.sleep(0.1)
    assert left.stdout == b""


def test_nobody_is_there_to_agree_and_nothing_is_sent(tmp_path):
    parties = Parties(tmp_path)
    words = [word for word in command(parties, "north") if word != "--yes"]
    done = subprocess.run(
        words, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
    )
    assert done.returncode == 2
    assert "nobody is here to agree to this" in " ".join(done.stderr.split())
    assert "What leaves:" in done.stdout


# Frames.


def test_a_frame_is_read_as_it_was_written():
    tensor = torch.randn(3, 5)
    head, found = unpack(pack(Question(kind="round", round=4), tensor), Question)
    assert (head.kind, head.round) == ("round", 4)
    assert torch.equal(found, tensor)
    assert unpack(pack(Ask(job="0" * 64)), Ask)[1] is None
    assert sum_of(tensor) == sum_of(found)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\0\0\0",
        b"\xff\xff\xff\xff{}",
        b"\0\0\0\0",
        b"\0\0\0\x02{}",
        b"\0\0\0\x02[]more",
        pack(Answer(kind="answer"), torch.zeros(4))[:-1],
        pack(Answer(kind="answer")) + b"\0" * 4,
        b'\0\0\0\x2a{"kind":"answer","shape":[1000000000000]}  ',
        b'\0\0\0\x25{"kind":"answer","shape":[-1,-1]}    \0\0\0\0',
        b'\0\0\0\x20{"kind":"answer","score":1e999}  ',
    ],
)
def test_what_is_no_frame_is_refused_before_anything_is_made(content):
    with pytest.raises(DataError, match="a message"):
        unpack(content, Answer)


def test_a_refusal_says_nothing_of_images_or_folders(tmp_path, monkeypatch):
    parties = Parties(tmp_path, patience_s=20.0)

    def broken(*args, **settings):
        raise ValueError("pixel 17 of patient Smith")

    monkeypatch.setattr("sudare.routes.federation.silo.local_update", broken)
    found = parties.whole()
    assert "its program failed; the owner's errors.log says why" in str(found["server"])
    for owner in OWNERS:
        log = tmp_path / owner / "own" / "errors.log"
        assert "patient Smith" in log.read_text()
        assert log.stat().st_mode & 0o777 == 0o600

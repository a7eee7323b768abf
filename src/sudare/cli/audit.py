"""``sudare audit``: attack a release that exists, and gate on what was found."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from typing import Annotated, Literal

from cyclopts import App, Parameter

from sudare.cli.options import Whole

app = App(name="audit")


@app.default
def audit(
    release: Path | None = None,
    *,
    key: Path | None = None,
    model: str | None = None,
    weights: Path | None = None,
    members: str | None = None,
    non_members: str | None = None,
    builds: Whole = 16,
    image_size: Whole | None = None,
    queries: Literal["auto", "image", "mirror"] = "auto",
    fail_on: tuple[str, ...] = (),
    null: Annotated[bool, Parameter(negative="")] = False,
    out: Path | None = None,
    force: Annotated[bool, Parameter(negative="")] = False,
    workers: Whole | None = None,
    cache: Path | None = None,
) -> int:
    """Attack one release: what does this very artefact tell about its training images?

    With the audit key that `sudare release` wrote, shadows are built with the same recipe and
    every attack runs. With two folders of images known to be members and non-members, only attacks
    without shadows run. With neither, nothing can be measured: diagnostics are printed and the
    exit status is 3.

    It need not be a release of ours: give an .npz file with the arrays `scores` and `membership`,
    or any torch module or scikit-learn estimator with --model.

    Examples:
    `sudare audit releases/plain/release --key releases/plain-private/audit-key.npz`

    `sudare audit theirs/ --members in/ --non-members out/ --fail-on "membership.loss.auc > 0.6"`

    `sudare audit scores.npz`

    `sudare audit --model my.nets:build --weights w.safetensors --members in/ --non-members out/`

    Args:
        release: The release folder, or an .npz file of scores and membership.
        key: The audit key.
        model: package.module:factory of a model, instead of a release. This is your own code and
            it runs. A torch module gets float32 pixels in 0 to 1, an estimator rows of pixels.
        weights: Weights of the model, a safetensors file.
        members: Images known to have been used: a source, folder or .npz file.
        non_members: Images known not to have been used.
        builds: Shadow builds, even.
        image_size: Resize the given images to this side in pixels.
        queries: What is asked of each image of a release: the image, or its mirror image too; auto
            asks for mirrors where the recipe trained with them, and never without a key.
        fail_on: A gate such as "membership.lira.tpr@0.01 > 0.05"; may be given several times.
        null: The null control: call a random set of the same size "members".
        out: Run folder. runs/audit-NAME by default, where an earlier audit of that name is
            replaced; any other folder that holds another run is refused.
        force: Replace a run of another configuration in that folder.
        workers: Worker processes; one per core.
        cache: Where builds are kept; $SUDARE_CACHE or ~/.cache/sudare.

    Returns:
        0 all gates pass, 1 one fails, 2 error, 3 undecided or not evaluable.
    """
    from sudare.audits.artefact import AuditRequest, audit_artefact
    from sudare.audits.decisions.gates import exit_status, gate_line
    from sudare.audits.external import audit_images, audit_scores
    from sudare.audits.external_scores import read_scores
    from sudare.core.errors import ConfigError
    from sudare.core.files import default_cache
    from sudare.core.progress import auto
    from sudare.fleets.cache import Cache
    from sudare.report import LANGUAGES, write_report

    progress, folder = auto(), out or Path("runs") / f"audit-{_name(release, model)}"
    # A folder whose name was not asked for is replaced by the next audit.
    force = force or out is None
    command = shlex.join(["sudare", *sys.argv[1:]])
    if (release is None) == (model is None):
        raise ConfigError(
            "there is nothing to audit" if release is None else "give a release or a --model",
            fix="Give a release folder, an .npz file of scores, or --model package.module:factory.",
        )
    if model is not None:
        if members is None or non_members is None:
            raise ConfigError("a model needs --members and --non-members", where=model)
        result = audit_images(
            model,
            weights,
            members,
            non_members,
            image_size=image_size,
            folder=folder,
            fail_on=fail_on,
            command=command,
            progress=progress,
            force=force,
        )
    elif release is not None and release.suffix == ".npz":
        result = audit_scores(
            read_scores(release),
            folder=folder,
            title=release.name,
            fail_on=fail_on,
            command=command,
            force=force,
        )
    elif release is not None:
        request = AuditRequest(
            release=release,
            key=key,
            members=members,
            non_members=non_members,
            builds=builds,
            image_size=image_size,
            fail_on=fail_on,
            null=null,
            workers=workers,
            command=command,
            force=force,
            queries=queries,
        )
        result = audit_artefact(
            request, folder, cache=Cache(cache or default_cache()), progress=progress
        )
    with progress.stage("writing the report", 1):
        paths = write_report(folder, languages=LANGUAGES)
    for line in paths.verdict:
        progress.say(line)
    progress.say(f"\nInternal report: {paths.internal}\nPublic report:   {paths.public}")
    for gate in result.gates:
        progress.say(gate_line(gate))
    return exit_status(result.gates)


def _name(release: Path | None, model: str | None) -> str:
    """What a run of an audit is called if nobody says: after what is audited."""
    if release is None:
        return (model or "").partition(":")[2] or "model"
    # `sudare release` writes a folder called release into one that is named.
    named = release.resolve().parent if release.name in ("release", ".") else release
    return named.stem if named.suffix == ".npz" else named.name


@app.command
def export(run: Path, *, out: Path) -> None:
    """Write what a run's figures were computed from, without a pixel, for a third party.

    Scores, who was a member of which build, labels, configuration, findings and cards. Hand it
    to an auditor; do not publish it, since it says who was a member.

    For example: `sudare audit export runs/demo --out evidence/`

    Args:
        run: A folder that `sudare compare` or `sudare audit` wrote.
        out: A new folder.
    """
    from sudare.audits.verify import commitment_of, digest_of
    from sudare.audits.verify import export as write
    from sudare.core.progress import auto

    progress = auto()
    folder = write(run, out)
    size = sum(path.stat().st_size for path in folder.iterdir())
    progress.say(f"Evidence: {folder} ({size / 1e6:.1f} MB)")
    if commitment := commitment_of(folder):
        progress.say(f"Commitment before the first build: {commitment}")
    progress.say(f"Manifest: {digest_of(folder)}")
    progress.say(f"Check it with `sudare audit verify {shlex.quote(str(folder))}`.")


@app.command
def verify(folder: Path, *, published: str = "") -> int:
    """Recompute every figure of a run from its evidence, without the images.

    Figures are recomputed, and configuration, releases, builds, checks and cards are held against
    each other. Whoever made the folder could still have made another run of it: hold its
    commitment, which `compare` prints before the first build and both pages show, against the one
    you were told (`--published`).

    For example: `sudare audit verify evidence/`

    Args:
        folder: What `sudare audit export` wrote.
        published: The commitment you were told before, or the manifest's digest from the export.

    Returns:
        0 every recomputed figure agrees, 1 one does not, 2 a file was changed.
    """
    from sudare.audits.verify import verify as check
    from sudare.core.progress import auto

    progress = auto()
    result = check(folder, progress=progress)
    for line in result.differ:
        progress.say(f"DIFFERS: {line}")
    for name, reason in result.absent.items():
        progress.say(f"Not built: {name}: {reason}.")
    if not result.committed:
        progress.say(
            "Membership, labels or configuration are not those committed to before the first build."
        )
    families = sorted({text.split(": ")[1].partition(".")[0] for text in result.not_recomputed})
    if not result.agree:
        progress.say("Nothing was recomputed: the parts are not of one run.")
    progress.say(
        f"{result.agree} figures recomputed as printed, {len(result.differ)} contradictions, "
        f"{len(result.not_recomputed)} figures bound by the manifest and not recomputed "
        f"({', '.join(families) or 'none'})."
    )
    if result.commitment:
        told = "as published" if published else "compare it with the one you were told before"
        progress.say(f"Commitment: {result.commitment} ({told}).")
    return 0 if result.holds else 1


@app.command
def mechanism(
    *,
    preset: Annotated[str, Parameter(name=["--preset", "--config", "-c"])] = "demo",
    data: str | None = None,
    route: str = "",
    canaries: Whole = 2000,
    seed: Whole | None = None,
    override: Annotated[tuple[str, ...], Parameter(name=["--set", "-s"])] = (),
) -> int:
    """Audit DP-SGD itself: can one training run refute the epsilon it claims?

    Canaries, records whose gradient is a single coordinate, take part in sampling, clipping and
    noise, each by a coin of its own. What the noised gradients hold of them proves a lower bound
    on epsilon. A bound above the claim is a bug; one below proves nothing about other inputs.

    For example: `sudare audit mechanism --preset smoke --route dpsgd-eps8`

    Args:
        preset: smoke, demo, lite, paper or a TOML file.
        data: A named source, a folder or an .npz file.
        route: Release that DP-SGD trains, such as dpsgd-eps8; the first by default.
        canaries: Coordinates that are watched; more prove more, up to the weights of the net.
        seed: Seed of the run.
        override: A value by dotted name, such as data.pool=200.

    Returns:
        0 the claim stands, 1 it is refuted, 2 error.
    """
    from sudare.audits.config import apply_overrides, load_config, read_toml
    from sudare.audits.mechanism import audit_route, describe_audit
    from sudare.cli.options import with_options
    from sudare.core.progress import auto

    values = with_options(read_toml(preset), {"data.source": data, "seed": seed})
    progress = auto()
    config = load_config(apply_overrides(values, override))
    found = audit_route(config, route, canaries=canaries, progress=progress)
    progress.say(describe_audit(found))
    return int(found.refuted)

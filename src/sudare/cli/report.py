"""``sudare report``: write the pages of a run again."""

from __future__ import annotations

from pathlib import Path
from typing import Literal


def report(
    run_folder: Path = Path("runs/demo"),
    *,
    fail_on: tuple[str, ...] = (),
    require: tuple[str, ...] = (),
    lang: Literal["en", "ja"] = "en",
    open_browser: bool = False,
) -> int:
    """Write the two pages of a run again, and print its verdict.

    A run writes its findings as they come, so this works while it is still under way. The
    folder gets two files, each complete in itself and readable offline:

    - report.html, internal: with the most exposed private images. Do not share it.
    - report-public.html, to hand on: no private image, no private count, no seed.

    Gates can be tried on a finished run: nothing is built or attacked again.

    Example: `sudare report runs/demo --open-browser`,
    or `sudare report runs/demo --fail-on "membership.rmia.auc > 0.6"`,
    or `sudare report runs/demo --lang ja`,
    or `sudare report runs/demo --require "decision = share" --require "balanced_accuracy >= 0.8"`

    Args:
        run_folder: The folder that `sudare compare` or `sudare audit` wrote.
        fail_on: A gate such as "membership.rmia.auc > 0.6"; may be given several times.
        require: What a release must meet, such as "decision = share", "accuracy >= 0.85",
            "tpr@0.01 <= 0.02" (of the primary attack) or "transfer_mb <= 10"; releases are ranked,
            and where none qualifies it is said what would have to change.
        lang: What the pages open in: en for English, ja for Japanese in files of its own
            (report-ja.html). A button on the page changes to the other; names of releases and
            figures stay as they are.
        open_browser: Open the internal page in the default browser.

    Returns:
        0 if all gates pass and, with --require, one release qualifies; 1 if a gate fails or no
        release can qualify; 2 after an error; 3 if nothing worse than undecided is left.
    """
    # Charts take half a second to import; `sudare --help` must not wait for them.
    from rich.console import Console

    from sudare.audits.decisions.gates import check_gates, exit_status, gate_line, judge
    from sudare.audits.decisions.requirements import parse_demand, rank, said, status_of
    from sudare.report import LANGUAGES, write_report
    from sudare.report.load import load_run

    run = load_run(run_folder)
    releases = [release.name for release in run.summary.releases]
    attacks = {
        finding.id.split(".")[1] for finding in run.findings if finding.id.startswith("membership.")
    }
    primary = next(iter(run.summary.primary.values()), "membership.rmia").partition(".")[2]
    gates = check_gates(fail_on, releases, sorted(attacks), primary=primary)
    wanted = [parse_demand(text, primary=primary) for text in require]
    paths = write_report(run_folder, languages=LANGUAGES if lang == "en" else LANGUAGES[::-1])
    console = Console(highlight=False, markup=False, soft_wrap=True)
    for sentence in paths.verdict:
        console.print(sentence)
    console.print()
    console.print(f"Internal, with private images: {paths.internal}")
    console.print(f"Public, to hand on:            {paths.public}")
    if open_browser:
        import webbrowser

        webbrowser.open(paths.internal.resolve().as_uri())
    if not fail_on and not require:
        return 0
    statuses = []
    if require:
        labels = {release.name: release.label for release in run.summary.releases}
        decisions = {decision.release: decision for decision in run.summary.decisions}
        ranked = rank(wanted, run.findings, decisions, releases)
        console.print()
        for line in said(ranked, wanted, labels):
            console.print(line)
        statuses.append(status_of(ranked))
    results = [result for gate in gates for result in judge(gate, run.findings, releases)]
    for result in results:
        console.print(gate_line(result))
    statuses.append(exit_status(results))
    return 1 if 1 in statuses else max(statuses)

"""One decision from everything measured: its three laws, and every answer that was once wrong."""

import dataclasses

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sudare.audits.decisions.case import Case, Subject
from sudare.audits.decisions.decision import decide
from sudare.audits.decisions.questions import QUESTIONS, Question
from sudare.core.decisions import Answer, Outcome, Reply
from sudare.core.findings import Finding, Status
from sudare.core.runs import Deployment, Mode, Thresholds
from sudare.core.threats import ThreatModel

ATTACKS = ("membership.rmia", "membership.lira", "outsider")
SUBJECT = Subject(
    release="it",
    kind="samples",
    attacks=ATTACKS,
    holds_items=True,
    holds_ranges=True,
    claims=True,
    planted=("ood",),
    inverted=True,
    reference="plain",
    classes=10,
    builds=16,
)
PLAIN = dataclasses.replace(
    SUBJECT, holds_items=False, holds_ranges=False, claims=False, planted=(), inverted=False
)
PERMISSION = {Outcome.SHARE: 2, Outcome.CARE: 1, Outcome.REFUSE: 0, Outcome.UNKNOWN: 0}


def finding(name, value, half=0.01, *, release="it", threat="classifier/logits", **values):
    ends = {} if half is None else {"low": value - half, "high": value + half}
    return Finding(
        id=name,
        release=release,
        route="plain",
        threat_model=ThreatModel(threat),
        value=value,
        n_builds=16,
        **{**ends, **values},
    )


def missing(name, reason="needs at least 30 distinct units", status=Status.UNRESOLVABLE):
    return Finding(
        id=name,
        release="it",
        route="plain",
        threat_model=ThreatModel("classifier/logits"),
        status=status,
        reason=reason,
    )


GOOD = {
    "membership.copies.tpr": finding("membership.copies.tpr", 0.0, 0.0),
    "copies.excess": finding("copies.excess", 0.0, 0.0, high=0.01),
    "copies.power": finding("copies.power", 0.97),
    "membership.rmia.auc": finding("membership.rmia.auc", 0.51, simultaneous=1.2),
    "membership.lira.auc": finding("membership.lira.auc", 0.505, simultaneous=1.2),
    "outsider.auc": finding("outsider.auc", 0.5),
    "membership.rmia.null_auc": finding("membership.rmia.null_auc", 0.5),
    "membership.lira.null_auc": finding("membership.lira.null_auc", 0.5),
    "outsider.null_auc": finding("outsider.null_auc", 0.5),
    "membership.rmia.worst_case": finding("membership.rmia.worst_case", 0.6, 0.05),
    "sampler.bounds.tpr": finding("sampler.bounds.tpr", 0.0, 0.0),
    "sampler.bounds.fpr": finding("sampler.bounds.fpr", 0.0, 0.0),
    "canaries.ood.rmia.auc": finding("canaries.ood.rmia.auc", 0.6),
    "inversion.top1": finding("inversion.top1", 0.12),
    "inversion.random_top1": finding("inversion.random_top1", 0.1, None),
    "inversion.near_excess": finding("inversion.near_excess", 0.0, 0.0, high=0.05),
    "privacy.epsilon": finding("privacy.epsilon", 2.0, 0.0),
    "privacy.auc_ceiling": finding("privacy.auc_ceiling", 0.8, 0.0),
    "utility.balanced_accuracy": finding("utility.balanced_accuracy", 0.8, threat="none"),
    "plain": finding("utility.balanced_accuracy", 0.9, release="plain", threat="none"),
}
"""What a release must have measured that may be shared."""


def decided(*changed, without=(), subject=SUBJECT, lines=None, threat=None):
    named = {
        **{name: item for name, item in GOOD.items() if name not in without},
        **{item.id: item for item in changed},
    }
    return decide(list(named.values()), lines or Thresholds(), threat or Deployment(), subject)


def test_a_release_with_every_question_clean_is_shared():
    found = decided()
    assert found.outcome is Outcome.SHARE
    assert [answer.question for answer in found.answers] == [q.id for q in QUESTIONS]
    assert {answer.reply for answer in found.answers} == {Reply.CLEAN}


@pytest.mark.parametrize(
    ("changed", "outcome", "question", "reply"),
    [
        # A2: a release of real images.
        (finding("membership.copies.tpr", 0.05, 0.0), "refuse", "copies", "leaks"),
        # A3: copies in some builds.
        (finding("copies.excess", 0.3, 0.2), "refuse", "copies", "leaks"),
        (finding("copies.excess", 0.01, 0.02), "unknown", "copies", "undecided"),
        (finding("copies.power", 0.1), "unknown", "copies", "undecided"),
        # A4: the second line was never measured; one build.
        (missing("membership.rmia.worst_case"), "unknown", "worst", "undecided"),
        (finding("membership.rmia.worst_case", 0.6, None), "unknown", "worst", "undecided"),
        (finding("membership.rmia.auc", 0.5, None), "unknown", "average", "undecided"),
        (finding("membership.rmia.auc", 0.5, 0.0), "unknown", "average", "undecided"),
        # A5, A7 C and U: the primary the wrong way round.
        (finding("membership.rmia.auc", 0.147, 0.016), "unknown", "sound", "undecided"),
        (finding("membership.rmia.auc", 0.3, 0.01), "unknown", "sound", "undecided"),
        # A7 D and Q: another attack the wrong way round.
        (finding("membership.lira.auc", 0.1, 0.01), "unknown", "sound", "undecided"),
        (finding("outsider.auc", 0.3, 0.01), "unknown", "sound", "undecided"),
        # A7 S: the null control failed.
        (finding("membership.rmia.null_auc", 0.4, 0.02), "unknown", "sound", "undecided"),
        # A7 P: a wide primary shields nobody.
        (finding("membership.lira.auc", 0.6, 0.05), "care", "average", "between"),
        (finding("membership.lira.auc", 0.75, 0.02), "refuse", "average", "leaks"),
        (finding("outsider.auc", 0.6, 0.15), "unknown", "average", "undecided"),
        # Planted images, inversion against the prior alone, a claim of a million.
        (finding("canaries.ood.rmia.auc", 1.0, 0.005), "refuse", "planted", "leaks"),
        (finding("inversion.top1", 0.98, 0.01), "refuse", "inversion", "leaks"),
        # An attack image is somebody's, or one may be.
        (finding("inversion.near_excess", 0.3, 0.2), "refuse", "inversion", "leaks"),
        (finding("inversion.near_excess", 0.01, 0.02), "unknown", "inversion", "undecided"),
        (missing("inversion.near_excess"), "unknown", "inversion", "not_measured"),
        (finding("privacy.epsilon", 1e6, 0.0), "care", "claim", "between"),
        (finding("privacy.left_out", 3.7, 0.0), "refuse", "claim", "leaks"),
        # The claim is refuted by an attack above its ceiling.
        (finding("privacy.auc_ceiling", 0.51, 0.0), "share", "claim", "clean"),
        (finding("membership.lira.auc", 0.9, 0.005), "refuse", "claim", "leaks"),
        # Members lie on a bound, nobody else does.
        (finding("sampler.bounds.tpr", 0.05, None), "refuse", "bounds", "leaks"),
        # A useless release is not shared.
        (finding("utility.balanced_accuracy", 0.16, 0.02), "refuse", "useful", "leaks"),
        (finding("utility.balanced_accuracy", 0.5, 0.2), "unknown", "useful", "undecided"),
        # Most exposed.
        (finding("membership.rmia.worst_case", 0.95, 0.03), "refuse", "worst", "leaks"),
        (finding("membership.rmia.worst_case", 0.8, 0.04), "care", "worst", "between"),
    ],
)
def test_each_question_makes_the_decision(changed, outcome, question, reply):
    found = decided(changed)
    assert found.outcome.value == outcome
    assert found.answer(question).reply.value == reply


def test_every_question_that_is_open_says_what_would_settle_it():
    for name in GOOD:
        if name != "plain":
            found = decided(without=[name])
            open_ones = [
                a for a in found.answers if a.reply in (Reply.NOT_MEASURED, Reply.UNDECIDED)
            ]
            assert open_ones, name
            assert all(answer.settle is not None for answer in open_ones), name


@pytest.mark.parametrize("name", GOOD)
def test_what_was_not_measured_has_not_passed(name):
    assert decided(without=[name]).outcome is Outcome.UNKNOWN


def test_a_copy_needs_no_sound_statistics():
    found = decided(
        finding("membership.copies.tpr", 0.05, 0.0),
        finding("membership.rmia.null_auc", 0.4, 0.02),
    )
    assert found.outcome is Outcome.REFUSE
    assert found.answer("average").reason == "unsound"


def test_attacks_without_shadows_condemn_and_do_not_acquit():
    subject = dataclasses.replace(PLAIN, mode=Mode.GIVEN, reference="")
    assert decided(subject=subject).outcome is Outcome.UNKNOWN
    assert decided(subject=subject).answer("average").settle.what == "shadows"
    leaky = finding("membership.rmia.auc", 0.8, 0.02)
    assert decided(leaky, subject=subject).outcome is Outcome.REFUSE


def test_any_attack_condemns_only_with_ends_that_hold_for_all():
    # Three attacks: 0.66 (0.6505 to 0.6695) alone is above 0.65, corrected it is not.
    close = finding("outsider.auc", 0.66, 0.0095)
    assert decided(close, subject=PLAIN).answer("average").reply is Reply.UNDECIDED
    alone = dataclasses.replace(PLAIN, attacks=("outsider",))
    assert decided(close, subject=alone).answer("average").reply is Reply.LEAKS


def test_a_guarantee_answers_what_its_ceiling_bounds():
    changed = (
        finding("privacy.auc_ceiling", 0.54, 0.0),
        finding("membership.rmia.auc", 0.51, 0.2),
        missing("membership.rmia.worst_case"),
    )
    found = decided(*changed)
    assert found.outcome is Outcome.SHARE
    assert found.answer("average").proven
    assert found.answer("worst").proven
    # It is about one image: of units of several it proves nothing.
    units = dataclasses.replace(SUBJECT, per_unit=False)
    assert decided(*changed, subject=units).outcome is Outcome.UNKNOWN


def test_a_holder_who_sees_less_is_asked_about_what_they_see():
    labels = ThreatModel("classifier/labels")
    threat = Deployment(holder="clinics", sees=(labels,))
    subject = dataclasses.replace(PLAIN, attacks=("membership.gap",), primary="membership.gap")
    leaky = finding("membership.rmia.auc", 0.9)
    assert decided(leaky, subject=subject, threat=threat).outcome is Outcome.UNKNOWN
    seen = [
        finding(f"membership.gap.{figure}", 0.5, threat=labels)
        for figure in ("auc", "null_auc", "worst_case")
    ]
    assert decided(leaky, *seen, subject=subject, threat=threat).outcome is Outcome.SHARE


def test_a_claim_on_somebody_else_s_card_does_not_acquit():
    """A release that claims epsilon 0.01 was cleared by its own word, attacked without shadows."""
    subject = dataclasses.replace(SUBJECT, mode=Mode.GIVEN)
    found = decided(finding("privacy.auc_ceiling", 0.54, 0.0), subject=subject)
    assert found.outcome is Outcome.UNKNOWN
    assert not any(answer.proven for answer in found.answers)


def test_accuracy_does_not_step_in_for_balanced_accuracy():
    accurate = [
        finding("utility.accuracy", 0.95, threat="none"),
        finding("utility.accuracy", 0.9, release="plain", threat="none"),
    ]
    named = {n: f for n, f in GOOD.items() if n not in ("utility.balanced_accuracy", "plain")}
    found = decide([*named.values(), *accurate], Thresholds(), Deployment(), SUBJECT)
    assert found.answer("useful").reply is Reply.NOT_MEASURED


def test_a_count_of_copies_without_a_value_has_not_passed():
    assert decided(missing("membership.copies.tpr")).outcome is Outcome.UNKNOWN


def test_under_redrawn_membership_nothing_is_decided():
    """Ranges that name members, and a useless release, would have been refused in a control."""
    changed = [
        finding("sampler.bounds.tpr", 0.05, None),
        finding("utility.balanced_accuracy", 0.16, 0.02, threat="none"),
        finding("membership.copies.tpr", 0.05, 0.0),
    ]
    named = {**GOOD, **{item.id: item for item in changed}}
    redrawn = [item.model_copy(update={"null_control": True}) for item in named.values()]
    found = decide(redrawn, Thresholds(), Deployment(), SUBJECT)
    assert found.outcome is Outcome.UNKNOWN


def test_without_a_plain_net_a_release_is_held_against_guessing():
    subject = dataclasses.replace(PLAIN, reference="")
    assert decided(subject=subject).outcome is Outcome.SHARE
    poor = finding("utility.balanced_accuracy", 0.12, 0.02)
    assert decided(poor, subject=subject).outcome is Outcome.REFUSE


def test_the_lines_are_the_user_s():
    care = finding("membership.rmia.auc", 0.58, 0.01)
    assert decided(care).outcome is Outcome.CARE
    assert decided(care, lines=Thresholds(share_auc=0.6)).outcome is Outcome.SHARE
    with pytest.raises(ValueError, match="share_auc is above refuse_auc"):
        Thresholds(share_auc=0.7)


def test_a_check_may_bring_a_question_of_its_own():
    def asks(case: Case) -> Answer:
        return Answer(question="mine", reply=Reply.LEAKS)

    found = decide(
        list(GOOD.values()),
        Thresholds(),
        Deployment(),
        SUBJECT,
        questions=(*QUESTIONS, Question(id="mine", asks=asks, label="Is it mine?")),
    )
    assert found.outcome is Outcome.REFUSE


# The three laws, over drawn sets of findings. A null control's own interval and what a claim
# says are no measured figures: a weaker claim is rightly refuted less often.
CLAIMS = ("privacy.epsilon", "privacy.auc_ceiling")
HIGHER_IS_WORSE = [
    name
    for name in GOOD
    if name not in (*CLAIMS, "utility.balanced_accuracy", "plain", "copies.power")
    and not name.endswith(("null_auc", "fpr", "random_top1"))
]
share = st.floats(0, 1).map(lambda value: round(value, 3))


@st.composite
def drawn(draw):
    """A set of findings: each as in a release that may be shared, or anything else."""
    found = {}
    for name, good in GOOD.items():
        kind = draw(st.sampled_from(["good", "good", "good", "other", "none", "missing"]))
        if kind == "none":
            continue
        if kind == "missing" and name != "plain":
            found[name] = missing(name)
        elif kind == "other":
            value = draw(share) * (20 if name == "privacy.epsilon" else 1)
            half = draw(st.sampled_from([None, 0.0, 0.005, 0.02, 0.1, 0.3]))
            found[name] = finding(
                good.id, value, half, release=good.release, simultaneous=good.simultaneous
            )
        else:
            found[name] = good
    return found


def permission(found, subject=SUBJECT):
    return PERMISSION[decide(list(found.values()), Thresholds(), Deployment(), subject).outcome]


@settings(max_examples=1500, deadline=None)
@given(found=drawn(), by=st.floats(0.001, 0.5), data=st.data())
def test_worse_figures_never_give_a_better_decision(found, by, data):
    names = [
        name
        for name in HIGHER_IS_WORSE
        if name in found
        and found[name].value is not None
        # What lies below one half gets less strange, and not worse, on its way there.
        and not (name.endswith("auc") and (found[name].low or 0.5) < 0.5)
    ]
    lower = [n for n in ("utility.balanced_accuracy",) if n in found and found[n].value is not None]
    name = data.draw(st.sampled_from([*names, *lower])) if names or lower else None
    if name is None:
        return
    item, step = found[name], -by if name in lower else by
    moved = {
        end: None if getattr(item, end) is None else getattr(item, end) + step
        for end in ("value", "low", "high")
    }
    worse = {**found, name: item.model_copy(update=moved)}
    assert permission(worse) <= permission(found)


@settings(max_examples=1500, deadline=None)
@given(found=drawn(), data=st.data())
def test_a_measurement_less_never_gives_a_better_decision(found, data):
    if not found:
        return
    name = data.draw(st.sampled_from(sorted(found)))
    assert permission({n: item for n, item in found.items() if n != name}) <= permission(found)


@settings(max_examples=1500, deadline=None)
@given(found=drawn(), by=st.floats(0.001, 0.5), data=st.data())
def test_a_wider_interval_never_turns_into_share(found, by, data):
    names = [
        name
        for name, item in found.items()
        if item.low is not None and not name.endswith("null_auc") and name not in CLAIMS
    ]
    if not names:
        return
    name = data.draw(st.sampled_from(sorted(names)))
    item = found[name]
    wider = item.model_copy(update={"low": item.low - by, "high": item.high + by})
    before = permission(found)
    after = permission({**found, name: wider})
    # An exact number has no interval to widen; one of no width decided nothing before.
    if item.low == item.high:
        return
    assert after <= before

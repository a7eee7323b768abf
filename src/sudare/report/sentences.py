"""Every sentence a reader of the report sees, as whole templates with named fields."""

from __future__ import annotations

TEXT: dict[str, str] = {
    # The frame of the page.
    "page_title": "{title}: what may be shared, and at what price",
    "page_title_artefact": "{title}: what this release tells about its training images",
    "page_title_given": "{title}: what it tells about its training data",
    "edition_internal": "Internal report",
    "language": "English",
    "edition_public": "Public report",
    "banner_internal": "Internal: contains private images. Do not share this file.",
    "banner_internal_artefact": "Internal: contains private counts. Do not share this file.",
    "banner_internal_given": "Internal: contains private counts. Do not share this file.",
    "banner_internal_more": "The edition to hand on is report-public.html, beside this file.",
    "banner_null": "Null control: membership was redrawn at random. Nothing here is a leak.",
    "banner_null_more": "Every leakage figure should be a coin flip; what is not is a fault.",
    "banner_running": "Still running: {done} of {total} releases have leakage figures so far.",
    "banner_running_more": "Write the report again to see more. Still to come: {missing}.",
    "banner_stages": "Under way: {stages}.",
    "stage": "{label} ({done} of {total})",
    "skip": "Skip to the verdict",
    "contents": "Contents",
    "builds_range": "{low} to {high}",
    "dated": "Run of {date}, {builds} builds per release. Written by Sudare {version}.",
    "dated_artefact": "Run of {date}, one release and {builds} shadow builds. Written by Sudare "
    "{version}.",
    "dated_given": "Run of {date}. Written by Sudare {version}.",
    "none": "none",
    "percent": "{value} %",
    "part_exposed": "the most exposed",
    "part_exposed_images": "the most exposed images",
    "part_images": "the {count} most exposed images ({share} of {all})",
    "part_units": "the {count} most exposed units ({share} of {all})",
    "not_given": "not given",
    # The verdict.
    "verdict": "Verdict",
    "l_answer": "Answer",
    "l_asked": "Asked",
    "l_control": "Warning",
    "l_found": "Found",
    "l_means": "What it means",
    "l_gates": "Gates",
    "asked_one": "Sudare made 1 release from {data}, {builds} times over, each time from a random "
    "half of the images, and asked: can somebody who holds it tell the images that went into it "
    "(members) from those that did not (non-members)?",
    "asked_many": "Sudare made {count} different releases from {data}, each {builds} times over "
    "from a random half of the images, and asked of each: can somebody who holds it tell the "
    "images that went into it (members) from those that did not (non-members)?",
    "asked_artefact": "Sudare attacked one release made from {data}, the very one that ships, with "
    "{builds} shadow builds made in the same way, and asked: can somebody who holds it tell the "
    "images that went into it (members) from those that were withheld (non-members)?",
    "asked_given": "Sudare was given {one}, with records said to have gone into it (members) and "
    "records said not to have (non-members), and asked: can somebody who holds it tell the two "
    "apart?",
    "asked_scores": "Sudare was given the attack scores in {one}, and for each score whether its "
    "record was a member of the training data or a non-member, and asked: how well do these "
    "scores tell the two apart?",
    "answer_share": "Share: {names}.",
    "answer_care": "Share with care: {names}.",
    "answer_refuse": "Do not share: {names}.",
    "answer_unknown": "Cannot tell: {names}.",
    "answer_contains": "{one} (contains private images)",
    "answer_betrayed": "{one} (its ranges name members)",
    "answer_holder": "Only what is possible for {who} is counted: to see {sees}.",
    "somebody": "whoever holds it",
    "answer_rule": "The lines of this run: to share, every attack tells used from unused images in "
    "at most {share} of 100 tries on average and {share_worst} for the most exposed; above "
    "{refuse} or {refuse_worst}, with private images inside, or gaining less than {useful} % of "
    "what the plain classifier gains over guessing, do not share. Guessing gets 50. Whole "
    "intervals are held against these lines, which [verdict] in the configuration moves.",
    "found_none": "No release has been attacked to the end yet, so there is nothing to report on "
    "leakage so far.",
    "found_untold": "How much {names} leaks cannot be told from this run ({reason}).",
    "found_one": "{one}: sharing it lets an attacker who sees {sees}, with the attack {attack}, "
    "tell which of two images, one used and one not, was used in {tries} of 100 tries (AUC {auc}; "
    "guessing gets 50). Its {utility}.",
    "found_one_chance": "{one}: an attacker who sees {sees}, with the attack {attack}, did no "
    "better than guessing by more than a run of this size can show: right in {tries} of 100 tries "
    "(AUC {auc}; guessing gets 50). Its {utility}.",
    "found_scores": "{one}: these scores tell which of two records, one a member and one not, is "
    "the member in {tries} of 100 tries (AUC {auc}; guessing gets 50).",
    "found_scores_chance": "{one}: these scores did no better than guessing by more than this many "
    "records can show: right in {tries} of 100 tries (AUC {auc}; guessing gets 50).",
    "found_scores_below": "{one}: the scores tell the two apart the wrong way round: are higher "
    "scores members? Right in {tries} of 100 tries (AUC {auc}), where guessing gets 50.",
    "found_most": "Highest measured leakage: {one}. Sharing it lets an attacker who sees {sees}, "
    "with the attack {attack}, tell which of two images, one used and one not, was used in {tries} "
    "of 100 tries (AUC {auc}; guessing gets 50). Its {utility}.",
    "found_least": "Lowest measured leakage: {one}, with {tries} of 100 tries (AUC {auc}) for an "
    "attacker who sees {sees}. Its {utility}.",
    "found_least_chance": "Lowest measured leakage: {one}, with {tries} of 100 tries (AUC {auc}) "
    "for an attacker who sees {sees}, which may be guessing. Its {utility}.",
    "found_all_chance": "For none of the {count} releases did the attack {attack} do better than "
    "guessing by more than a run of this size can show; the highest figure is that of {one}, right "
    "in {tries} of 100 tries (AUC {auc}; guessing gets 50).",
    "found_stronger": "The strongest attack that ran does better: {attack} on {one} is right in "
    "{tries} of 100 tries (AUC {auc}).",
    "found_worst": "An average hides people: of {part} in {one} the attack tells {how} whether "
    "they were used (AUC {auc}).",
    "how_nearly_always": "nearly always",
    "how_mostly": "mostly",
    "how_tries": "in {tries} of 100 tries",
    "found_planted": "Images planted as a worst case ({kind}): on {one}, {attack} is right in "
    "{tries} of 100 tries (AUC {auc}).",
    "found_below": "On {names} the scores tell used from unused images the wrong way round: are "
    "higher scores members? This points at a fault in the audit and not at privacy.",
    "warning": "{text}.",
    "control_failed": "The null control failed for {names}. It attacks a membership drawn anew, "
    "where the AUC must be 0.50: do not rely on figures of such an attack until this is explained.",
    "control_of": "{attack} on {label}, AUC {auc}",
    "found_null_outside": "The interval of {names} does not.",
    "found_null": "Leakage intervals in this null control: {count}; of these, {inside} include "
    "guessing (right in 50 of 100 tries, AUC 0.50).",
    "means_none": "Nothing can be chosen yet: write the report again when the first release is "
    "done.",
    "means_untold": "Nothing can be chosen on these grounds, and no gate on leakage passes: a "
    "figure printed all the same would be luck.",
    "means_one": "With one release measured there is nothing to compare it with; a baseline such "
    "as the plain classifier would show what this figure is worth.",
    "means_artefact": "This holds of this very release: another one made in the same way may leak "
    "more or less, and a stronger attack may find more.",
    "means_given": "This holds of this model and these records. Only attacks without shadow "
    "builds were run, the weakest there are; a stronger attack may find more.",
    "means_scores": "This holds of these scores and these records: another attack on the same "
    "model may find more.",
    "means_null": "An interval that leaves guessing out is expected about once in twenty by "
    "chance; more than that is a fault of the audit.",
    "means_same": "No release leaks less than {reference} by more than a run of this size can "
    "show.",
    "means_kept_one": "{names} leaks less than {reference}, and is not shown to be less useful.",
    "means_kept_many": "{names} leak less than {reference}, and are not shown to be less useful.",
    "means_paid_one": "{names} leaks less than {reference} and is less useful.",
    "means_paid_many": "{names} leak less than {reference} and are less useful.",
    "means_unpriced_one": "{names} leaks less than {reference}; its utility is not measured.",
    "means_unpriced_many": "{names} leak less than {reference}; their utility is not measured.",
    "means_open_all": "Which of the releases leaks most or least a run of this size cannot tell: "
    "all intervals overlap.",
    "means_open_least": "Which of {names} leaks least a run of this size cannot tell: their "
    "intervals overlap that of the lowest.",
    "means_open_most": "Which of {names} leaks most a run of this size cannot tell: their "
    "intervals overlap that of the highest.",
    "means_copies": "Inside {names} are private images: whoever is handed that sees them, whatever "
    "the figures of attacks on a model trained on them say.",
    "means_betrayed": "{one} shows ranges that are private images' own numbers: {members} of the "
    "members lie exactly on one, {others} of the others do, and no statistics are needed to see "
    "it.",
    "means_caveat": "These are the figures of the attacks listed below; a stronger attack may "
    "find more.",
    "gates_failed": "Failed: {gates}.",
    "gates_undecided": "Undecided: {gates}.",
    "gate_on": "{expression} on {label}",
    "utility_is": "{name} is {value}",
    "utility_balanced": "{name} (share of right answers, each class counting the same)",
    "utility_missing": "utility is not measured",
    "gates": "{passed} pass, {failed} fail, {undecided} undecided, {not_evaluable} not evaluable.",
    "estimate": "{value} ({low} to {high})",
    "range": "{low} to {high}",
    "list_others": "{count} others",
    "list_two": "{first} and {last}",
    "list_step": "{first}, {last}",
    "list_two_long": "{first}; and {last}",
    "list_step_long": "{first}; {last}",
    # The first screen.
    "decide_share": "Share",
    "decide_care": "Share with care",
    "decide_refuse": "Do not share",
    "decide_unknown": "Cannot tell",
    "cap_decisions": "What to do with each release",
    "c_decision": "Decision",
    "c_recipient": "What the recipient can do",
    "c_attacker": "What an attacker learns",
    "c_because": "Because",
    "c_settle": "What would settle it",
    "first_counts": "Share: {share}. Share with care: {care}. Do not share: {refuse}. Cannot tell "
    "from this run: {unknown}.",
    "first_best": "The most useful one to share is {one}: its {name} is {value}.",
    "first_none": "This run shows none that may be shared.",
    "first_lines": "To share, no attack may be right in more than {share} of 100 tries on average "
    "or {worst} for the most exposed (guessing gets 50), no private image may be inside, and it "
    "must be of use; what was not measured has not passed.",
    "in_full": "In full: what was asked, what was found, and the lines",
    "learns_tries": "who was in it: right in {tries} of 100 tries",
    "learns_bounds": "names {members} of the images used",
    "learns_bounds_others": "and {others} of those that were not",
    "learns_worst": "of the most exposed: {tries}",
    "learns_copies": "{share} of what is released",
    "why_share": "every question is answered clean",
    "why_share_proof": "clean, in part by its proven guarantee",
    "why_nothing": "nothing was measured",
    "why_more": "{why} (and {count} more)",
    "why_leaks": "it leaks ({question})",
    "why_between": "it leaks some ({question})",
    "why_undecided": "not settled: {question}",
    "why_not_measured": "not measured: {question}",
    "why_clean": "clean: {question}",
    "why_copies_leaks": "shows private images",
    "why_copies_undecided": "may show a private image",
    "why_copies_undecided_blind": "the search for copies was blind",
    "why_copies_not_measured": "nobody looked for copies",
    "why_average_leaks": "tells who was in it",
    "why_average_between": "tells a little who was in it",
    "why_average_undecided": "average leak is not settled",
    "why_average_not_measured": "not all attacks ran",
    "why_average_not_measured_no_shadows": "attacked without shadow builds only",
    "why_worst_leaks": "gives its most exposed away",
    "why_worst_between": "its most exposed leak some",
    "why_worst_undecided": "most exposed are not settled",
    "why_worst_not_measured": "most exposed were not measured",
    "why_bounds_leaks": "its ranges name members",
    "why_bounds_undecided": "ranges may name members",
    "why_bounds_not_measured": "its ranges were not attacked",
    "why_planted_leaks": "gives planted images away",
    "why_planted_between": "planted images leak some",
    "why_planted_undecided": "planted images are not settled",
    "why_planted_not_measured": "planted images were not measured",
    "why_inversion_leaks": "shows what its classes look like",
    "why_inversion_between": "shows its classes a little",
    "why_inversion_undecided": "inversion is not settled",
    "why_inversion_not_measured": "inversion was not measured",
    "why_claim_leaks": "an attack beats its guarantee",
    "why_claim_between": "its guarantee promises little",
    "why_claim_undecided": "its guarantee is not tested",
    "why_claim_not_measured": "its guarantee is not tested",
    "why_useful_leaks": "teaches too little",
    "why_useful_undecided": "its use is not settled",
    "why_useful_not_measured": "its use was not measured",
    "why_sound_undecided": "the audit itself failed a control",
    "why_sound_undecided_wrong_way": "an attack is the wrong way round",
    "why_sound_not_measured": "a null control is missing",
    "settle_builds_about": "about {count} builds",
    "settle_builds": "many more builds",
    "settle_units_about": "at least {count} people or images a side",
    "settle_units": "more people or images",
    "settle_images": "more test images",
    "settle_check": 'the check "{name}"',
    "settle_attack": "the attack {name}",
    "settle_shadows": "the audit key, for shadow builds",
    "settle_reference": "a plain classifier beside it",
    "settle_pair": "a look at the pairs below",
    "settle_fault": "finding the fault in the audit",
    "use_balanced_accuracy": "balanced accuracy",
    "use_accuracy": "accuracy",
    "use_heldout_accuracy": "accuracy on the held-out half",
    # Section headings and captions.
    "h_tradeoff": "Leakage against utility",
    "p_tradeoff": "Each mark is a release; the lines are its intervals. Further right is more "
    "useful, further down leaks less. Hollow marks with dashed lines are baselines. A release that "
    "contains private images stands above the scale, whatever an attack on a model says.",
    "alt_tradeoff": "Scatter chart of leakage (AUC) against utility, one mark per release: "
    "{points}. All figures are in the table of releases.",
    "alt_point": "{label}, AUC {auc}, utility {utility}",
    "empty_tradeoff": "No release has both a leakage and a utility figure yet.",
    "axis_utility": "{name} (right: more useful)",
    "axis_auc": "AUC of {name} (up: leaks more)",
    "coin_flip": "coin flip",
    "contains_private": "contains private images",
    "contains_private_long": "contains private images: off the scale",
    "h_releases": "What can be shared?",
    "h_releases_artefact": "The release",
    "h_releases_given": "What was given",
    "p_releases": "AUC: how often a member scores above a non-member; 0.5 is a coin flip. TPR at "
    "1 % FPR: members found when 1 non-member in 100 is taken for one; chance finds 1 %.",
    "cap_releases": "What leaves, what it leaks, what it is good for and what it costs",
    "leaves_baseline": "{leaves} A baseline.",
    "epsilon_seen": "attacks reach {epsilon}",
    "guarantees": "The guarantees in full",
    "other_attacks": "The other {count} attacks",
    "all_orderings": "All {count} expected orders",
    "all_findings": "All {count} findings",
    "shown_more": "Tables and pictures",
    "exposed_none": "The attack finds nothing on {labels}: a list of exposed images would be an "
    "accident.",
    "exposed_more": "The other releases",
    "baseline": "baseline",
    "no_guarantee": "none",
    "guarantee_epsilon": "epsilon {epsilon} (claimed)",
    "h_roc": "How well each attack does",
    "p_roc": "Members found (TPR) against false alarms (FPR), both on logarithmic scales. The "
    "further a curve runs above the dashed chance line at the left, the more certain "
    "the attacker is about some images. Curves end where the run has too few images to say more.",
    "alt_roc": "Log-log ROC curves of {attack} for: {releases}.",
    "axis_fpr": "False positive rate",
    "axis_tpr": "True positive rate",
    "chance": "chance",
    "empty_roc": "No attack has produced a curve yet.",
    "h_beyond": "Beyond the average",
    "p_beyond": "An average over all images hides those that are exposed most, and counts on an "
    "attacker for whom every other image is a member. These figures do not.",
    "p_beyond_artefact": "Where members are rare, many accusations are wrong however well an "
    "attack does. This figure counts them.",
    "p_beyond_given": "Where members are rare, many accusations are wrong however well an attack "
    "does. This figure counts them.",
    "cap_beyond_artefact": "Attackers who know that members are rare",
    "cap_beyond_given": "Attackers who know that members are rare",
    "cap_beyond": "The most exposed images, and attackers who know that members are rare",
    "range_of": "{range}; {part}",
    "h_canaries": "Worst case: planted images",
    "p_canaries": "Builds of their own, in which images were planted to be remembered (canaries), "
    "in or out by a coin each. This is what an attacker could find of images like these, and no "
    "average of the collection: the last column has that.",
    "p_planted": "{name}: {what}.",
    "p_planted_bare": "{name}.",
    "cap_canaries": "What attacks find of planted images",
    "cap_planted": "Every finding on planted images",
    "all_planted": "All figures on planted images",
    "h_orderings": "Expected orderings",
    "p_orderings": "Theory or published work expects these orders; a run that breaks one has a "
    "fault, or has found something. An order holds, or does not, only where the two intervals "
    "share no point; both figures come from the same images, so that this asks for more than "
    "it must.",
    "orderings_count": "Hold: {holds}. Do not hold: {violated}. Not resolved: {open}.",
    "cap_orderings": "Expected orderings and how they came out",
    "order_online": "An online attack does no worse than its offline form (AUC)",
    "order_epsilon": "A smaller epsilon leaks no more (AUC)",
    "order_smoothing": "Negative smoothing leaks no more than none, none no more than positive "
    "(AUC)",
    "order_price": "Differential privacy is no more useful than none",
    "order_holds": "holds",
    "order_violated": "does not hold",
    "order_open": "not resolved",
    "order_side": "{who}: {label}",
    "order_number": "{value} ({range})",
    "cause_online": "Possible cause, not shown: the scores of members are not distributed as the "
    "online attack assumes, so that knowing them misleads it.",
    "cause_online_few": "Possible cause, not shown: with few builds an online attack estimates "
    "how members score from fewer than ten shadows (here {shadows}). That noise can cost more than "
    "the information brings; the offline attack avoids it.",
    "cause_epsilon": "Possible cause, not shown: epsilon bounds the worst case and not the "
    "average, and the recipes differ in more than epsilon; a model that learns more also shows "
    "more.",
    "cause_smoothing": "Possible cause, not shown: after few epochs, or in a small net, smoothing "
    "changes how well the model fits more than what it remembers; the published order is that "
    "of nets trained to the end.",
    "cause_price": "Possible cause, not shown: the recipe without privacy is not tuned or "
    "overfits, and clipping and noise act against that.",
    "h_classes": "By class and group",
    "p_classes": "Leakage (AUC) and utility (recall) of each class or group, highest leakage "
    "first. Lines are intervals.",
    "cap_groups": "Leakage and utility of each class and group",
    "all_groups": "The same as a table",
    "h_glossary": "What the figures mean",
    "p_classes_cut": "Only the {shown} classes with the highest leakage of {count} are drawn.",
    "alt_classes": "Dot chart for {release}: leakage (AUC) and utility (recall) of each class.",
    "axis_class_auc": "Leakage (AUC)",
    "axis_class_recall": "Utility (recall)",
    "h_exposed": "The most exposed images",
    "p_exposed": "Private images that the primary attack finds again and again. They were chosen "
    "on all builds: fit for looking at, not for quoting as numbers.",
    "exposed_alt": "Exposed private image of class {name}",
    "empty_exposed": "No picture was chosen in this run, or not yet.",
    "exposed_missing": "The picture is missing from the run folder.",
    "p_exposed_public": "The internal edition shows which images are exposed most. This edition "
    "holds no private image.",
    "h_pairs": "Released images and what they are nearest to",
    "p_pairs": "From one build, the released images nearest to an image they were made from. "
    "Each picture shows, from left to right, the released image, the nearest image it was made "
    "from, and the nearest image it was not made from, with the distances to both (pixels in 0 "
    "to 1). Looks deceive: pairs far apart are no evidence of protection.",
    "pair_alt": "A released image, the nearest member and the nearest other image",
    "pair_distances": "{member} to the member, {other} to the other",
    "check_picture": "{label}: {caption}",
    "h_findings": "All findings",
    "p_findings": "Sorted by severity: leakage above chance first, then what failed, then the "
    "rest. An interval that includes chance means the attack found nothing at this power.",
    "cap_gates": "Gates",
    "cap_findings": "Every finding of the run",
    "filter": "Show rows with",
    "h_threats": "What each attacker sees",
    "cap_threats": "Threat models of this run",
    "h_run": "Data, limits and how to repeat this",
    "cap_data": "Data",
    "h_limits": "What this run cannot say",
    "limit_half": "The figures are about builds from a random half of the images; a build from "
    "all of them may leak somewhat less or more.",
    "limit_attack": "An attack that finds nothing has found nothing at the power of this run: "
    "its interval says what it would have missed.",
    "limit_worst": "Averages hide people: the worst-case figures, where given, are about the "
    "most exposed images only.",
    "h_repeat": "The command that repeats it",
    "cap_run": "Run",
    "h_config": "The resolved configuration",
    "footer_public": "Counts and seeds that could betray the private collection are left out of "
    "this edition on purpose.",
    # Columns and rows.
    "c_release": "Release",
    "c_utility": "Utility",
    "c_auc": "AUC",
    "c_tpr": "TPR at 1 % FPR",
    "c_guarantee": "Guarantee",
    "c_build": "Build, CPU",
    "c_storage": "Size",
    "c_reading": "Reading",
    "c_finding": "Finding",
    "c_group": "Class or group",
    "c_attack": "Attack",
    "c_recall": "Recall",
    "c_worst_case": "AUC of the most exposed",
    "c_exposed_10x": "Found ten times as often as by chance",
    "c_precision": "Accusations that are right, at 1 % false alarms",
    "c_exposure_stability": "Agreement on who is exposed",
    "c_trace_precision": "Pointed at by the loss trace",
    "c_planted": "Planted",
    "c_tpr10": "TPR at 10 % FPR",
    "c_pool_auc": "AUC of the same attack on the collection",
    "c_expected": "Expected",
    "c_lower": "Expected lower",
    "c_higher": "Expected higher",
    "c_remark": "Remark",
    "c_value": "Value",
    "c_interval": "Interval",
    "c_threat": "Threat model",
    "c_units": "Units",
    "c_builds": "Builds",
    "c_method": "Method",
    "c_gate": "Gate",
    "c_verdict": "Outcome",
    "c_explanation": "Why",
    "c_sees": "The attacker sees",
    "s_copies": "Are private images inside?",
    "p_copies": "A released image is a near copy of a private one where it is less than half as "
    "far from it as from any image that was not used, whatever the flip, shift, light or "
    "contrast. The same rule against images that were not used gives phantoms: what chance makes "
    "of it. Power is the share of altered private images that the search found.",
    "c_copies_exact": "Equal images",
    "c_copies_near": "Near copies",
    "c_copies_phantoms": "Phantoms",
    "c_copies_excess": "Beyond chance",
    "c_copies_power": "Power",
    "s_sets": "Released images",
    "p_sets": "What one build of each set would hand over, class by class. Learned images that "
    "started from private ones may still look like them; the closest pairs above set each beside "
    "its nearest member.",
    "c_train_s": "Time for the recipient to train",
    "c_started": "AUC, images started from",
    "c_others": "AUC, other members",
    "c_closer": "Nearer to a member (pixels)",
    "s_evasion": "Robustness to changed images",
    "p_evasion": "The share of test images that a net still gets right when somebody changes each "
    "pixel by at most so many of 255 grey levels (AutoAttack: after every attack that ran), and "
    "under common corruptions. Only some builds and images are tried; intervals are over builds. "
    "A net that is right less often has less to lose: read it beside the first column.",
    "c_clean": "Unchanged",
    "c_corrupted": "Common corruptions",
    "c_masking": "Gradient masking",
    "evasion_x": "Largest change of a pixel, in grey levels of 255",
    "evasion_y": "Accuracy after AutoAttack",
    "evasion_alt": "Accuracy of each release over the largest change of a pixel. The table below "
    "has the same figures.",
    "evasion_at": "AutoAttack, {at}/255",
    "s_fairness": "Fairness between classes and groups",
    "p_fairness": "How evenly each release serves classes. The gap shrinks by itself as accuracy "
    "grows, so one column takes away the gap of plain classifiers of fewer real images that are "
    "right as often: above 0, the way of sharing itself makes classes less equal. Who pays for "
    "privacy is in the last column: "
    "the class or group whose members an attacker tells best.",
    "c_worst_class": "Worst class",
    "c_gap": "Gap between classes",
    "c_against_plain": "Gap against plain",
    "c_matched_gap": "Gap at matched accuracy",
    "c_against_subset": "Gap against real images",
    "c_exposed_class": "Told best (AUC)",
    "fair_wider": "wider by {by}",
    "fair_narrower": "narrower by {by}",
    "fair_same": "not told apart",
    "s_sampler": "Released distributions of features",
    "p_sampler": "A distribution leaves in place of images. T0 sees only the ranges samples are "
    "scaled to, T1 samples, T2 the numbers behind them, T3 makes such releases and compares the "
    "heads trained on them. T1 and T2 are not calibrated by shadow builds, so stronger attacks of "
    "their kind may exist. Spread and coverage say how much of the collection's variety is left; "
    "means of images cover well, what varies freely in many dimensions covers little.",
    "s_choices": "What builds chose among",
    "p_choices": "Each build chose on private images of its own that no net was trained on, by "
    "the balanced accuracy of students on them; nothing was chosen on test images. A dot is one "
    "build's candidate, filled where it was taken. In early rounds students learn for a short time "
    "and only the better half goes on, so dots of one candidate are not all of equal budget.",
    "choices_alt": "{label}: score of each {what}, one dot a build",
    "choices_y": "held-out balanced accuracy",
    "choice_generator": "state of the generator",
    "choice_sigma": "standard deviation of the latent",
    "choice_filter": "filter",
    "choice_picture": "{label}, first build, generator after {caption}",
    "s_federation": "What each owner brought, was paid and spent",
    "p_federation": "Of the first build of {label}. Values are Shapley values of accuracy on "
    "public images, with intervals over these images; owners whose difference is not resolved are "
    "tied, and a rule that pays them differently pays for luck. Scores say how hard records are, "
    "not how good: wrong labels score high. Records and scores are noised where owners have a "
    "promise. These figures are not audited.",
    "p_federation_public": "{label}: {owners} owners; {budget} divided {rule}. Payouts of single "
    "owners are theirs to tell. Inequality of payouts (Gini, 0 equal to 1 all for one) by rule:",
    "c_owner": "Owner",
    "c_epsilon": "Epsilon",
    "c_records": "Records",
    "c_score": "Mean score ({score})",
    "c_shapley": "Brought (Shapley)",
    "c_loo": "Lost without it",
    "c_tied": "Tied with",
    "c_paid": "Paid {rule}",
    "c_rule": "Rule",
    "c_gini": "Gini",
    "money": "{amount}",
    "s_inversion": "What the classes look like to who holds the net",
    "p_inversion": "Plug & Play inversion: images are made that the net takes for a class, with a "
    "decoder fitted on the attacker's own images. Another net, trained on other images of the "
    "classes, judges them: taken for the class (Acc@1, Acc@5), squared distance to the nearest "
    "real image, and how well a student of the attack images alone recognises real ones. Read "
    "each column between its controls in the last rows: a net of random weights or the decoder "
    "alone on one side, real test images on the other.",
    "p_inversion_few": "With so few classes an image of a class says little about any person in "
    "it; read this as a check of the machinery.",
    "c_inv_top1": "Acc@1",
    "c_inv_top5": "Acc@5",
    "c_inv_distance": "Distance",
    "c_inv_extraction": "Student's accuracy",
    "c_inv_near": "Private images",
    "c_inv_identity_error": "Error of identity",
    "c_inv_first_top1": "Acc@1 before optimising",
    "c_inv_coverage": "Coverage",
    "inv_random": "Control: random weights",
    "inv_prior": "Control: decoder alone, average person",
    "inv_real": "Bound: real test images (student: the judging net)",
    "s_outsider": "What an attacker without the pipeline finds",
    "p_outsider": "Many audits of synthetic data train their shadows on other images and not "
    "through teacher, generator and student. The middle column is such an attack; the one beside "
    "it imitates the whole pipeline, build by build. Where the first is lower, an audit of that "
    "kind would have missed the difference. Accuracy over privacy (AOP) is as published, with an "
    "AUC below 0.5 counted as 0.5.",
    "c_outsider": "AUC without the pipeline",
    "c_whole": "AUC with the whole pipeline",
    "c_missed": "Missed",
    "c_aop": "AOP",
    "missed_by": "{by}",
    "missed_none": "not resolved",
    "c_t0": "T0: on a bound (members / others)",
    "c_t1": "T1: nearest sample",
    "c_t2": "T2: numbers of the release",
    "c_t3": "T3: shadow builds",
    "c_spread": "Spread kept",
    "c_coverage": "Coverage",
    "c_primary": "Primary attack",
    "c_field": "Field",
    "c_content": "Content",
    "r_name": "Collection",
    "r_licence": "Licence",
    "r_source": "Source and attribution",
    "r_classes": "Classes",
    "r_shape": "Image size",
    "v_shape": "{height} by {width} pixels, {channels} channel(s)",
    "r_pool": "Pool (private images)",
    "v_pool": "{images} images, {units} units; {merged} near-duplicates merged",
    "r_parts": "Other parts",
    "v_parts": "public {public}, population {population}, test {test}",
    "r_notes": "Notes",
    "r_removed": "Near-duplicates of the pool taken out",
    "v_removed": "{count} from {part}",
    "r_seed": "Seed",
    "r_commitment": "Commitment before the first build",
    "r_wall": "Wall time",
    "r_started": "Started",
    "r_updated": "Last written",
    "r_builds": "Builds per release",
    "r_builds_artefact": "Shadow builds",
    "r_version": "Version of {name}",
    "r_machine": "Machine: {name}",
    # What a cell says when there is no number, and how a number reads.
    "clock": "{hours} h {minutes} min {seconds} s",
    "na": "n/a ({reason})",
    "na_failed": "n/a (failed: {reason})",
    "na_running": "n/a (still running)",
    "na_not_planned": "n/a (not part of this run)",
    "withheld": "[withheld]",
    "public_unresolvable": "needs more images or builds than this run has",
    "public_unresolvable_tpr": "needs {units} distinct non-member units and {pairs} scored pairs",
    "public_small": "withheld: fewer than {least} units",
    "public_failed": "see the internal report",
    "read_above": "above chance",
    "read_open": "not resolved from chance",
    "read_below": "below chance: the wrong way round?",
    "read_control": "control passed",
    "read_control_failed": "control failed",
    "read_null_value": "null control: measured",
    "read_null": "null control: at chance",
    "read_null_off": "null control: off chance",
    "read_failed": "failed",
    "read_unresolvable": "unresolvable",
    "read_not_applicable": "not applicable",
    "read_value": "measured",
    "gate_pass": "pass",
    "gate_fail": "fail",
    "gate_undecided": "undecided",
    "gate_not_evaluable": "not evaluable",
}

"""What a reader must know before comparing the rows of a table: what differs between them besides the method."""

from collections.abc import Iterable, Mapping, Sequence

from milktrain.comparing.panels import Panel, as_rows, listed, most_common, of_rows, split_names

#: What may differ between labels that are compared, as far as it is said, and what it is called.
SAID = {"device": "devices", "modalities": "modalities"}
VECTORS = " vectors"


def of(panels: Sequence[Panel]) -> list[str]:
    """What differs between labels, in words; of each panel, then between panels."""
    return [remark for panel in panels for remark in _differences(panel)] + _between(panels)


def _differences(panel: Panel) -> list[str]:
    """What a reader must know before comparing the rows of a panel."""
    remarks = []
    elsewhere: dict[str, list[str]] = {}
    for label, mine in panel.runs.items():
        lacking, more = panel.lacks(label), split_names({run.split for run in mine} - panel.splits)
        if lacking or more:
            said = [f"without {listed(lacking)}"] * bool(lacking) + [f"with {listed(more)} besides"] * bool(more)
            elsewhere.setdefault(" and ".join(said), []).append(label)
    for lack, labels in elsewhere.items():
        remarks.append(f"† {as_rows(labels)} on {panel.name}: {lack}, so that the mean is over other items than the others'.")
    by_profile = of_rows((label, mine[0].profile) for label, mine in panel.runs.items())
    for profile, labels in by_profile.items():
        if profile != panel.profile:
            were = "was" if len(labels) == 1 else "were"
            remarks.append(f"† {as_rows(labels)} on {panel.name} {were} judged by the profile {profile}, the others by {panel.profile}.")
    remarks += _seeds(panel)
    for name, called in SAID.items():
        remarks += _told_apart(
            panel, called, {label: " or ".join(sorted({run.settings.get(name, "") for run in mine})) for label, mine in panel.runs.items()}
        )
    vectors = sorted({name for mine in panel.runs.values() for run in mine for name in run.settings if name.endswith(VECTORS)})
    for name in vectors:
        told = {label: " or ".join(sorted({run.settings[name] for run in mine if name in run.settings})) for label, mine in panel.runs.items()}
        remarks += _told_apart(panel, name, {label: each for label, each in told.items() if each})
    return remarks


def _seeds(panel: Panel) -> list[str]:
    """Who has other training seeds than most on a split, and who has more of them on some splits than on others."""
    mine = {label: {split: tuple(run.seed for run in runs) for split, runs in panel.by_split(label).items()} for label in panel.runs}
    splits = sorted({split for each in mine.values() for split in each})
    usual = {split: most_common(each[split] for each in mine.values() if split in each) for split in splits}
    others = [label for label, each in mine.items() if any(seeds != usual[split] for split, seeds in each.items())]
    uneven = [label for label, each in mine.items() if len({len(seeds) for seeds in each.values()}) > 1]
    by_seeds = of_rows((label, _numbers(mine[label].values())) for label in others)
    told = listed([f"{as_rows(labels)} {seeds}" for seeds, labels in by_seeds.items()])
    return [
        *([f"Other training seeds on {panel.name} than {_numbers(usual.values())}: {told}."] if others else []),
        *([f"{as_rows(uneven)} on {panel.name} {_have(uneven)} more training seeds on some splits than on others."] if uneven else []),
    ]


def _numbers(seeds: Iterable[tuple[int, ...]]) -> str:
    return ",".join(map(str, sorted({seed for each in seeds for seed in each})))


def _between(found: Sequence[Panel]) -> list[str]:
    """Labels that were trained with other settings for one column than for another, as a search a dataset leaves them; not what datasets bring."""
    elsewhere = []
    for label in sorted({label for panel in found for label in panel.runs}):
        mine = [panel.runs[label][0].settings for panel in found if label in panel.runs]
        names = dict.fromkeys(name for each in mine for name in each if name not in SAID and not name.endswith(VECTORS))
        if differing := [name for name in names if len({each.get(name) for each in mine}) > 1]:
            elsewhere.append((label, listed(differing)))
    return [
        f"{as_rows(labels)} {'was' if len(labels) == 1 else 'were'} trained with other settings for one column than for another: {names}."
        for names, labels in of_rows(elsewhere).items()
    ]


def _have(labels: Sequence[str]) -> str:
    return "has" if len(labels) == 1 else "have"


def _told_apart(panel: Panel, what: str, told: Mapping[str, str]) -> list[str]:
    """One remark where labels differ in something: that of most, and who has another."""
    if len(set(told.values())) < 2:
        return []
    usual = most_common(told.values())
    by_value = of_rows((label, each) for label, each in told.items() if each != usual)
    others = listed([f"{as_rows(labels)} {each}" for each, labels in by_value.items()])
    return [f"Other {what} on {panel.name} than {usual}: {others}."]

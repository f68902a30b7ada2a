"""The exact configuration of every run: settings, vectors, fingerprints, versions; and, loudly, what is a stand-in."""

from collections.abc import Sequence
from typing import Any

from milktrain.page.blocks import Block, Cell, Section, Table, Words, table, text
from milktrain.page.reading import NAMES_ONLY, Found, differences

IDENTITY = ("preset", "store", "split", "seed", "modalities", "device", "profile", "epochs", "best_epoch", "finished_at")
FINGERPRINTS = ("fingerprint", "split_fingerprint", "weights_sha256")
PLAIN = "imported"  # vectors somebody computed elsewhere: whatever made them is not known here


def section(found: Sequence[Found]) -> Section:
    """What every run was, as its record says."""
    blocks: list[Block] = [*(Words(warning, "loud") for warning in warnings(found)), _vectors(found)]
    differing = [name for name in differences(found) if any(name in run.settings for run in found)]
    shared = {name: value for name, value in found[0].settings.items() if name not in (*differing, *NAMES_ONLY)} if found else {}
    if shared:
        caption = "Settings that all runs have in common" if len(found) > 1 else "Settings"
        blocks.append(table(caption, ["setting", "value"], [[name, _exact(value)] for name, value in sorted(shared.items())], words=[1], folded=True))
    return Section("configuration", "Configuration and fingerprints", blocks, [*_differing(found, differing), *_each(found)])


def warnings(found: Sequence[Found]) -> list[str]:
    """What a reader must not overlook: vectors of random weights, and of encoders that stand in for real ones."""
    random, stand_in = set(), set()
    for run in found:
        for modality, made in _sets(run):
            if made.get("weights") == "random":
                random.add(f"{modality} by {made.get('encoder')}")
            elif made.get("weights") == "none" and made.get("encoder") != PLAIN:
                stand_in.add(f"{modality} by {made.get('encoder')}")
    said = []
    if random:
        said.append(
            f"Random weights: {', '.join(sorted(random))}. These vectors say nothing of what the items are; no result here is of the real encoder."
        )
    if stand_in:
        said.append(f"Stand-ins: {', '.join(sorted(stand_in))}. Encoders without weights are for trying things out, not for results.")
    return said


def _sets(run: Found) -> list[tuple[str, dict[str, Any]]]:
    sets = run.record.get("feature_sets")
    return [(name, made) for name, made in sorted(sets.items()) if isinstance(made, dict)] if isinstance(sets, dict) else []


def _vectors(found: Sequence[Found]) -> Block:
    used: dict[tuple[str, ...], int] = {}
    for run in found:
        for modality, made in _sets(run):
            key = (modality, *(text(made.get(name)) for name in ("encoder", "weights", "fingerprint", "contents")))
            used[key] = used.get(key, 0) + 1
    if not used:
        return Words("No record says which vectors its run was trained on.", "loud")
    columns = ["modality", "encoder", "weights", "fingerprint", "fingerprint of contents", "runs"]
    return table("Vectors that the runs were trained on", columns, [[*key, n] for key, n in sorted(used.items())], words=[1, 2, 3, 4])


def _differing(found: Sequence[Found], differing: Sequence[str]) -> list[Section]:
    """Settings that are not the same in all runs, a row a configuration; what is rare in a column is marked."""
    if not differing:
        return []
    by: dict[str, Found] = {}
    for run in found:
        by.setdefault(run.configuration, run)
    runs = {key: sum(run.configuration == key for run in found) for key in by}
    usual = {name: _usual([_exact(run.settings[name]) for run in found if name in run.settings]) for name in differing}
    rows = []
    for key, run in by.items():
        values = [(name, _exact(run.settings.get(name))) for name in differing]
        differs = {name for name, value in values if name in run.settings and value != usual[name]}
        rows.append([run.label, runs[key], *(Cell(value, "differs" if name in differs else "") for name, value in values)])
    told = Words(
        "A row a configuration; what differs from the most frequent value of its column is underlined and set off. "
        "A dash: the model has no such setting, or it makes no difference to it."
    )
    made = table("Settings that differ", ["configuration", "runs", *differing], rows, words=range(2, 2 + len(differing)))
    return [Section("configuration-differing", "What differs", [told, made])]


def _usual(values: Sequence[str]) -> str:
    return max(sorted(set(values)), key=values.count)


def _each(found: Sequence[Found]) -> list[Section]:
    told = Words("Everything a run is told apart by. Its settings are those of its configuration above, and those that all have in common.")
    return [Section("configuration-runs", "Run by run", [told, _identities(found), _digests(found)])]


def _identities(found: Sequence[Found]) -> Table:
    rows = [[run.name, run.label, *(Cell(_exact(run.record.get(name))) for name in IDENTITY)] for run in found]
    return table(
        "Runs", ["run", "configuration", *(name.replace("_", " ") for name in IDENTITY)], rows, words=range(1, len(IDENTITY) + 2), folded=True
    )


def _digests(found: Sequence[Found]) -> Table:
    rows = []
    for run in found:
        versions = run.record.get("versions")
        told = ", ".join(f"{name} {value}" for name, value in sorted(versions.items())) if isinstance(versions, dict) else None
        rows.append([run.name, *(Cell(_exact(run.record.get(name))) for name in FINGERPRINTS), told])
    columns = ["run", "fingerprint", "fingerprint of the split", "SHA-256 of the weights", "versions"]
    return table("Fingerprints and versions", columns, rows, words=range(1, 5), folded=True)


def _exact(value: object) -> str:
    """A value with all its digits."""
    return repr(value) if isinstance(value, float) else text(value) if not isinstance(value, int) or isinstance(value, bool) else str(value)

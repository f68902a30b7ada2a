"""What is documented is there, and what is there is documented. Each rule is shown to fail too."""

import ast
import re
import shlex
import tomllib

import house_rules
import pytest
import typer
from house_rules import ROOT, Source

import cli
import schemas

COMMAND_LINE = typer.main.get_command(cli.app)
#: Base of everything the parser of the command line refuses.
REFUSAL = typer.BadParameter.__mro__[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
OTHER_PAGES = [ROOT / "CHANGELOG.md", ROOT / "CONTRIBUTING.md", *sorted(p for name in house_rules.LIBRARIES for p in (ROOT / name).rglob("*.md"))]
EXAMPLE = re.compile(r"^ *Examples?:\s+(?P<commands>(?: *python cli\.py .+\n?)+)\Z", re.MULTILINE)
FENCED = re.compile(r"^```[^\n]*\n(.*?)^```", re.MULTILINE | re.DOTALL)
FILES = {path.name for path in ROOT.glob("*.*")} | {path.name for top in house_rules.FOLDERS for path in (ROOT / top).rglob("*.*")}
#: Words of how work is organised, which tell a reader nothing.
SHOP_TALK = re.compile(r"(?i)\b(issue|ticket|task|milestone|sprint|PR|pull request) ?#?\d+|#\d+\b|\bcloses #|/work/|\bour (team|brief)\b")


def undocumented(source):
    """Public modules, classes, functions and methods without a docstring."""

    def visit(node, name):
        if not ast.get_docstring(node):
            yield source.at(node, f"{name} has no docstring")
        for child in node.body if not isinstance(node, ast.FunctionDef) else []:
            if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef) and not child.name.startswith("_"):
                yield from visit(child, f"{name}.{child.name}")

    yield from visit(source.tree, source.module)


def commands(group=COMMAND_LINE, path=()):
    """(words, command) of every command that does something."""
    for name, command in group.commands.items():
        if hasattr(command, "commands"):
            yield from commands(command, (*path, name))
        else:
            yield (*path, name), command


COMMANDS = list(commands())
NAMES = ["-".join(words) for words, _ in COMMANDS]


def examples(help_text):
    """Command lines that a help text ends with; none where it does not end so."""
    found = EXAMPLE.search(help_text.rstrip())
    return [line.strip() for line in found["commands"].strip().splitlines()] if found else []


def refusal(line, *, complete):
    """Why the command line would refuse a line before doing anything; None where it would not.

    Args:
        line: a shell line; what follows a pipe or a redirection is not looked at.
        complete: whether what is required must be given, and values fit. Otherwise only commands and flags must exist.
    """
    words = re.split(r" (?:\||>|>>|<|&&|;|2>)(?: |$)", line)[0]
    arguments = shlex.split(words, comments=True)
    arguments = arguments[1:] if arguments[0] == "milk" else arguments[2:]
    command = COMMAND_LINE
    while hasattr(command, "commands"):
        flags = {flag for option in command.params for flag in option.opts} | {"--help"}
        while arguments and arguments[0].startswith("-"):
            if arguments.pop(0) not in flags:
                return f"no such flag before {arguments[:1]}"
        if not arguments:
            return None
        if arguments[0] not in command.commands:
            return f"no command {arguments[0]}"
        name = arguments.pop(0)
        command = command.commands[name]
    given = [argument for argument in arguments if argument != "--help"]
    try:
        if complete:
            command.make_context(name, given)
        else:
            command.make_parser(command.context_class(command, info_name=name)).parse_args(given)
    except REFUSAL as error:
        return None if not complete and "requires" in error.format_message() else error.format_message()
    return None


def shell_lines(text):
    """Lines of the fenced blocks of a page that call this project's command line, continued lines joined."""
    for block in FENCED.findall(text):
        for line in block.replace("\\\n", " ").splitlines():
            line = re.sub(r"^(\$ )?(\w+=\S+ )*", "", line.strip())
            if re.match(r"(\S*python3?(\.\d+)? cli\.py|milk)( |$)", line):
                yield line


def inline_commands(text):
    """Calls of the command line in running text."""
    prose = FENCED.sub("", text)
    return [code for code in re.findall(r"`([^`\n]+)`", prose) if re.match(r"(python cli\.py|milk) \w", code)]


def absent_paths(text, *, folder):
    """Names in backticks or links that look like paths of this repository and lead nowhere.

    A file may be named without its folder; one called my_something stands for what a reader will write.
    """
    top = {path.name for path in ROOT.iterdir()}
    for name in re.findall(r"`([\w./-]+)`", FENCED.sub("", text)):
        first, _, rest = name.partition("/")
        a_path = rest and first in top and not (ROOT / name).exists() and not (folder / name).exists()
        a_file = re.fullmatch(r"[\w-]+\.(py|md|toml|sql)", name) and name not in FILES and not name.startswith("my_")
        if a_path or a_file:
            yield name
    for target in re.findall(r"\]\(([^)#\s]+)[^)]*\)", text):
        if not re.match(r"\w+:", target) and not (folder / target).exists():
            yield target


def absent_targets(text):
    """`make` targets that a page names and the Makefile lacks."""
    known = set(re.search(r"^\.PHONY:(.*)$", (ROOT / "Makefile").read_text(), re.MULTILINE)[1].split())
    return sorted(set(re.findall(r"(?:^|`)make ([a-z][\w-]*)", text, re.MULTILINE)) - known)


def test_everything_public_has_a_docstring():
    assert [line for source in house_rules.library_sources() for line in undocumented(source)] == []


def test_a_missing_docstring_is_seen():
    documented = '"""M."""\nclass _B:\n    def h(self): ...\ndef k():\n    """K."""\n    def inner(): ...\n'
    assert list(undocumented(Source("a.py", documented))) == []
    text = '"""M."""\nclass A:\n    """A."""\n    def f(self): ...\n    def _g(self): ...'
    assert list(undocumented(Source("a.py", text))) == ["a.py:4 a.A.f has no docstring"]
    assert list(undocumented(Source("a.py", "def f():\n    '''F.'''"))) == ["a.py:1 a has no docstring"]


@pytest.mark.parametrize(("words", "command"), COMMANDS, ids=NAMES)
def test_a_commands_help_ends_with_examples_that_the_command_line_takes(words, command):
    lines = examples("\n".join(filter(None, [command.help, command.epilog])))
    assert lines, f"the help of {' '.join(words)} does not end with `Example: python cli.py {' '.join(words)} ...`"
    assert [refusal(line, complete=True) for line in lines] == [None] * len(lines)
    assert all(line.startswith(" ".join(["python cli.py", *words])) for line in lines)


@pytest.mark.parametrize(("words", "command"), COMMANDS, ids=NAMES)
def test_a_command_and_each_of_its_options_say_what_they_mean(words, command):
    assert command.help
    options = [parameter for parameter in command.params if parameter.param_type_name == "option" and parameter.name != "help"]
    assert [option.name for option in options if not option.help] == []


def test_a_help_without_a_last_example_is_seen():
    assert examples("Do it.\n\nExample: python cli.py status --store a.duckdb\n") == ["python cli.py status --store a.duckdb"]
    assert examples("Do it.\n\nExamples:\n  python cli.py check\n  python cli.py status") == ["python cli.py check", "python cli.py status"]
    assert examples("Do it. Try python cli.py status.") == []
    assert examples("Example: python cli.py status\n\nAnd more.") == []


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("python cli.py stats --store a.duckdb", "no command stats"),
        ("python cli.py pull gazette", "no command gazette"),
        ("python cli.py --quietly status", "no such flag"),
        ("python cli.py status --shop a.duckdb", "No such option: --shop"),
        ("python cli.py build-splits --setting both --seed 0", "'both' is not one of"),
        ("python cli.py pull tiktok --store a.duckdb", "Missing option"),
    ],
)
def test_a_command_line_that_would_be_refused_is_seen(line, why):
    assert why in refusal(line, complete=True)


def test_a_command_that_is_only_mentioned_may_lack_what_it_requires_but_no_flag_may_be_made_up():
    assert refusal("python cli.py pull amazon", complete=False) is None
    assert refusal("python cli.py --help", complete=True) is None
    assert refusal("milk status --json | jq .items", complete=True) is None
    assert "--shop" in refusal("python cli.py status --shop", complete=False)


@pytest.mark.parametrize("page", PAGES + OTHER_PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_what_a_page_names_is_there(page):
    text = page.read_text(encoding="utf-8")
    assert list(absent_paths(text, folder=page.parent)) == []
    assert absent_targets(text) == []
    assert {line: why for line in shell_lines(text) if (why := refusal(line, complete=True))} == {}
    assert {line: why for line in inline_commands(text) if (why := refusal(line, complete=False))} == {}


def test_what_a_page_makes_up_is_seen():
    text = "See `schemas/nothing.py`, `nowhere.py`, `my_encoder.py`, [more](docs/none.md), `README.md`, `make gold`, `milk sql --x 1`."
    text += "\n```\n$ X=1 python cli.py stats \\\n  --json\n```\n"
    assert list(absent_paths(text, folder=ROOT)) == ["schemas/nothing.py", "nowhere.py", "docs/none.md"]
    assert absent_targets(text) == ["gold"]
    assert list(shell_lines(text)) == ["python cli.py stats    --json"]
    assert inline_commands(text) == ["milk sql --x 1"]


@pytest.mark.parametrize("page", PAGES + OTHER_PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_pages_speak_of_the_project_and_not_of_how_it_came_about(page):
    assert SHOP_TALK.findall(page.read_text(encoding="utf-8")) == []


@pytest.mark.parametrize("text", ["See issue 12.", "as in #34", "Fixes PR #5", "copy it to /work/main", "our brief says"])
def test_shop_talk_is_seen(text):
    assert SHOP_TALK.search(text)


def test_the_readme_opens_with_the_two_commands():
    start = (ROOT / "README.md").read_text(encoding="utf-8")[:2500]
    assert "make demo" in start
    assert "make test" in start


def test_one_version_stands_everywhere():
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    assert schemas.__version__ == version
    assert re.search(rf"^## {re.escape(version)}\b", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)

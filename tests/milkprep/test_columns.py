"""Which column means what: guessed from names as people write them, or said."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from milkprep.pull import columns
from schemas.errors import BadValue, SourceError

FILE = Path("items.csv")


def of_items(names, **said):
    return columns.assigned(FILE, names, roles=columns.ITEM_ROLES, said=said, required=("item",))


def of_pairs(names, **said):
    return columns.assigned(Path("interactions.csv"), names, roles=columns.INTERACTION_ROLES, said=said, required=("user", "item"))


@pytest.mark.parametrize(
    ("names", "found"),
    [
        (["Customer ID", "SKU", "Stars", "Date"], {"user": "Customer ID", "item": "SKU", "rating": "Stars", "timestamp": "Date"}),
        (
            ["reviewerID", "asin", "overall", "unixReviewTime"],
            {"user": "reviewerID", "item": "asin", "rating": "overall", "timestamp": "unixReviewTime"},
        ),
        (["user_id", "parent_asin", "asin"], {"user": "user_id", "item": "parent_asin"}),
        (["item-id", "USERID"], {"user": "USERID", "item": "item-id"}),
    ],
)
def test_columns_of_interactions_are_guessed_by_name(names, found):
    assert of_pairs(names) == found


def test_columns_of_items_are_guessed_by_name():
    names = ["product_id", "Product Title", "text", "Manufacturer", "genres", "image_url", "price", "id"]
    assert of_items(names) == {
        "item": "product_id", "title": "Product Title", "description": "text", "brand": "Manufacturer", "categories": "genres", "image": "image_url",
    }  # fmt: skip


def test_what_is_said_goes_before_what_is_guessed_and_no_other_role_takes_it():
    assert of_items(["item", "name", "title"], title=["name"]) == {"item": "item", "title": "name"}
    assert of_items(["item", "name"], item=["name"]) == {"item": "name"}
    assert of_pairs(["user", "id", "item"], item=["id"]) == {"user": "user", "item": "id"}


def test_a_missing_role_is_refused_with_the_columns_there_are():
    with pytest.raises(
        SourceError,
        match=r"no column that looks like a user. It has: 'item' \(taken for timestamp\), 'when' \(taken for item\)\. .* --columns user=NAME",
    ):
        of_pairs(["item", "when"], item=["when"], timestamp=["item"])


def test_the_flag_takes_several_roles_and_a_role_twice():
    assert columns.named(["item=sku, item = product", "Images=photo"]) == {"item": ["sku", "product"], "image": ["photo"]}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('item="sku, own",user=who', {"item": ["sku, own"], "user": ["who"]}),
        ('title = "a=b,c" ', {"title": ["a=b,c"]}),
        ('title=5" disk,user=who', {"title": ['5" disk'], "user": ["who"]}),
        ('title="sku"', {"title": ["sku"]}),
    ],
)
def test_a_name_that_holds_a_comma_stands_in_quotes(text, said):
    assert columns.named([text]) == said


@pytest.mark.parametrize(
    ("text", "words"), [("item", "is not ROLE=COLUMN"), ("item=", "is not ROLE=COLUMN"), ("shop=x", "names no role. There are: user")]
)
def test_a_flag_that_says_nothing_is_refused(text, words):
    with pytest.raises(BadValue, match=words):
        columns.named([text])


def test_a_column_that_no_table_has_is_refused_with_those_there_are():
    tables = {FILE: (columns.ITEM_ROLES, ["sku"]), Path("interactions.csv"): (columns.INTERACTION_ROLES, ["who", "sku"])}
    columns.check_named({"item": ["sku"], "user": ["who"]}, tables)
    with pytest.raises(BadValue, match=r"no column 'skew' for it. items.csv has sku; interactions.csv has who, sku"):
        columns.check_named({"item": ["skew"]}, tables)
    with pytest.raises(BadValue, match="no column 'who'"):
        columns.check_named({"title": ["who"]}, tables)  # it is there, but in a table that has no titles


@given(st.lists(st.sampled_from(["Item", "item_id", "TITLE", "name", "x", "brand", "category", "tags"]), unique=True))
def test_a_column_has_one_role_at_most(names):
    found = columns.assigned(FILE, names, roles=columns.ITEM_ROLES, said={}, required=())
    assert len(set(found.values())) == len(found)
    assert set(found.values()) <= set(names)


def test_a_column_is_a_text_or_a_list_of_them_not_both():
    with pytest.raises(BadValue, match="'name' for title and for categories: one holds a text, the other a list"):
        of_items(["sku", "name"], item=("sku",), title=("name",), categories=("name",))

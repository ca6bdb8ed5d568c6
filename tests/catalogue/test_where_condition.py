"""The condition of --where: one expression, on the catalogue alone, and one kind of error in every command."""

import duckdb
import pytest
from support.workspaces import surveyed

from catbuilder.catalogue.where_condition import condition_errors, confined_condition
from catbuilder.core.errors import QueryError
from catbuilder.exports.export import export
from catbuilder.ingest.fetch.missing_images import objects_without_image
from catbuilder.inspection.counts import count_objects


@pytest.fixture(scope="module")
def survey(tmp_path_factory):
    return surveyed(tmp_path_factory.mktemp("where") / "ws")


def rows(survey, where):
    with survey.reading() as con:
        condition = confined_condition(con, where)
        with condition_errors(where):
            return con.execute(f"SELECT object_id FROM catalog WHERE {condition}").fetchall()


def test_a_comment_of_the_user_ends_with_the_condition(survey):
    assert rows(survey, "object_id = 1 AND survey = 'des' -- the first") == [(1,)]
    assert len(rows(survey, None)) == 13


@pytest.mark.parametrize(
    "where",
    [
        "true) UNION SELECT (1",
        "true; DELETE FROM labels",
        "ra < 1, dec < 1",
        "colour > 1",
        "ra <",
        "name IN (SELECT content FROM read_text('/etc/passwd'))",
        "object_id = error('no')",
    ],
)
def test_what_is_not_one_condition_on_the_catalogue_is_refused(survey, where):
    with pytest.raises(QueryError, match="is not one condition on the columns of the catalogue") as refused:
        rows(survey, where)
    assert "\n" not in str(refused.value)


def test_a_failing_disk_or_memory_is_not_an_error_of_the_condition():
    for error in (duckdb.OutOfMemoryException("out"), duckdb.IOException("disk"), duckdb.Error("Query interrupted")):
        with pytest.raises(type(error)) as raised, condition_errors("ra < 1"):
            raise error
        assert raised.value is error


def test_every_command_refuses_a_condition_in_the_same_words(survey, tmp_path):
    said = set()
    for command in (
        lambda: export(survey, tmp_path / "out.csv", where="colour > 1"),
        lambda: count_objects(survey, where="colour > 1"),
        lambda: objects_without_image(survey, "des", where="colour > 1"),
    ):
        with pytest.raises(QueryError) as refused:
            command()
        said.add(str(refused.value).partition(";")[0])
    assert len(said) == 1

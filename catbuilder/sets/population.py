"""Apply the target population: a SQL file that decides which objects of a survey the catalogue makes claims about.

Most objects of a deep survey are too faint or too small to have a visible morphology, and many are stars. A network
predicts a class for each of them all the same, so the population says first which objects are worth classifying. The
rule is SQL that anybody can read, copy and change; the catalogue keeps the text that was applied.
"""

import hashlib
from dataclasses import dataclass
from pathlib import Path

import duckdb

from catbuilder.catalogue.connection import Connection, allow_only_catalogue, first_row
from catbuilder.catalogue.vocabulary import DOMAINS
from catbuilder.catalogue.workspace import Recording
from catbuilder.core.errors import ConfigError, InputError
from catbuilder.core.resources import query, sql_folder


@dataclass(frozen=True)
class Population:
    """A target population: its name, and the SELECT that returns `object_id`, `domain` and `reason`."""

    name: str
    text: str

    @property
    def sha256(self) -> str:
        """SHA-256 of the text."""
        return hashlib.sha256(self.text.encode()).hexdigest()


def load_population(name_or_file: str | Path) -> Population:
    """Load a shipped population by name (`des_dr1`), or a SQL file by path.

    Raises
    ------
    ConfigError
        There is no such population, or the file is not exactly one SELECT.
    """
    path = Path(name_or_file)
    if path.suffix != ".sql":
        path = sql_folder() / "populations" / f"{name_or_file}.sql"
        if not path.is_file():
            known = ", ".join(sorted(p.stem for p in path.parent.glob("*.sql")))
            raise ConfigError(
                f"there is no population named '{name_or_file}'; use one of {known}, or give the path of a .sql file"
            )
    try:
        statements = duckdb.extract_statements(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} cannot be read as SQL text ({error}); give the path of a .sql file") from None
    except duckdb.Error as error:
        raise ConfigError(f"{path} is not valid SQL: {str(error).splitlines()[0]}; correct it") from None
    if len(statements) != 1 or statements[0].type != duckdb.StatementType.SELECT:
        raise ConfigError(f"{path} must be one SELECT that returns object_id, domain and reason, and nothing else")
    return Population(path.stem, statements[0].query.strip().removesuffix(";"))


def apply_population(recording: Recording, survey: str, population: Population) -> None:
    """Assign a domain to every catalogued object of the survey, by the population's SQL.

    Does nothing if the same SQL was applied last and no object has changed since.

    Raises
    ------
    InputError
        The SQL fails on this catalogue, or returns an object twice, an unknown object or an unknown domain.
    """
    con = recording.con
    if _is_unchanged(con, survey, population):
        return
    stamp = {"survey": survey, "round": recording.round, "run": recording.run}
    allow_only_catalogue(con)  # the SQL may be a stranger's, so it may read the catalogue and nothing else
    try:
        # `load_population` has checked that the text is one SELECT.
        text = f"CREATE OR REPLACE TEMP TABLE found_domains AS FROM (\n{population.text}\n)"  # it may end in a comment
        con.execute(text, {"survey": survey} if "$survey" in population.text else {})
        _refuse_bad_domains(con, survey, population)
        con.execute(query("sets/record_domains"), stamp)
    except duckdb.Error as error:
        raise InputError(
            f"the population '{population.name}' fails on this catalogue: {str(error).splitlines()[0]}; correct its "
            "SQL (it must return object_id, domain and reason of the objects of $survey)"
        ) from None
    con.execute(
        "INSERT INTO populations VALUES (?, ?, ?, ?, ?, ?)",
        [survey, population.name, population.sha256, population.text, recording.round, recording.run],
    )


def domain_counts(con: Connection, survey: str) -> dict[tuple[str, str], int]:
    """Count the objects of a survey by (domain, reason), as they stand now."""
    rows = con.execute(query("sets/domain_counts"), {"survey": survey}).fetchall()
    return {(domain, reason): n for domain, reason, n in rows}


def _is_unchanged(con: Connection, survey: str, population: Population) -> bool:
    row = first_row(con, query("sets/population_unchanged"), {"survey": survey, "sha256": population.sha256})
    return bool(row and row[0])


def _refuse_bad_domains(con: Connection, survey: str, population: Population) -> None:
    repeated = first_row(con, "SELECT object_id FROM found_domains GROUP BY object_id HAVING count(*) > 1 LIMIT 1")
    if repeated:
        raise InputError(f"the population '{population.name}' returns object {repeated[0]} twice; correct its SQL")
    foreign = first_row(con, query("sets/domains_of_unknown_objects"), {"survey": survey})
    if foreign:
        raise InputError(
            f"the population '{population.name}' returns {foreign[0]}, which the catalogue of {survey} does not have; "
            "correct its SQL (WHERE survey = $survey)"
        )
    strange = first_row(
        con, "SELECT object_id, domain FROM found_domains WHERE NOT list_contains(?, domain) LIMIT 1", [list(DOMAINS)]
    )
    if strange:
        raise InputError(
            f"the population '{population.name}' returns the domain '{strange[1]}' for object {strange[0]}; "
            f"use {', '.join(DOMAINS)}"
        )

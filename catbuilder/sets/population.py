"""The target population: which objects of a survey the catalogue may speak of, decided by a SQL file.

Most objects of a deep survey are too faint or too small to have a morphology, and many are stars. A network
names a class for each of them all the same, so the catalogue asks first whether the question makes sense.
The rule is SQL that anybody can read, copy and change; the text that was applied is kept.
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
    """A target population: its name, and the SELECT that gives `object_id`, `domain` and `reason`."""

    name: str
    text: str

    @property
    def sha256(self) -> str:
        """Hash of the text."""
        return hashlib.sha256(self.text.encode()).hexdigest()


def load_population(name_or_file: str | Path) -> Population:
    """A shipped population by name (`des_dr1`), or a SQL file by path.

    Raises
    ------
    ConfigError
        No such population, or the file holds anything but one SELECT.
    """
    path = Path(name_or_file)
    if path.suffix != ".sql":
        path = sql_folder() / "populations" / f"{name_or_file}.sql"
        if not path.is_file():
            known = ", ".join(sorted(p.stem for p in path.parent.glob("*.sql")))
            raise ConfigError(
                f"there is no population named '{name_or_file}'; shipped are {known}, or give the path of a .sql file"
            )
    try:
        statements = duckdb.extract_statements(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} cannot be read as SQL text ({error}); give the path of a .sql file") from None
    except duckdb.Error as error:
        raise ConfigError(f"{path} is not valid SQL: {str(error).splitlines()[0]}; mend that place") from None
    if len(statements) != 1 or statements[0].type != duckdb.StatementType.SELECT:
        raise ConfigError(f"{path} must hold one SELECT that gives object_id, domain and reason, and nothing else")
    return Population(path.stem, statements[0].query.strip().removesuffix(";"))


def apply_population(recording: Recording, survey: str, population: Population) -> None:
    """Give every catalogued object of the survey its domain, unless this SQL did and no object has changed since.

    Raises
    ------
    InputError
        The SQL fails on this catalogue, repeats an object, or gives a domain that does not exist.
    """
    con = recording.con
    if _stands(con, survey, population):
        return
    stamp = {"survey": survey, "round": recording.round, "run": recording.run}
    allow_only_catalogue(con)  # a recipe's SQL, perhaps a stranger's: it sees the catalogue alone
    try:
        # The text is one SELECT of the user's own: `load_population` looked.
        text = f"CREATE OR REPLACE TEMP TABLE found_domains AS FROM (\n{population.text}\n)"  # it may end in a comment
        con.execute(text, {"survey": survey} if "$survey" in population.text else {})
        _refuse_bad_domains(con, survey, population)
        con.execute(query("sets/record_domains"), stamp)
    except duckdb.Error as error:
        raise InputError(
            f"the population '{population.name}' fails on this catalogue: {str(error).splitlines()[0]}; mend its SQL "
            "(it needs object_id, domain and reason of the objects of $survey)"
        ) from None
    con.execute(
        "INSERT INTO populations VALUES (?, ?, ?, ?, ?, ?)",
        [survey, population.name, population.sha256, population.text, recording.round, recording.run],
    )


def domain_counts(con: Connection, survey: str) -> dict[tuple[str, str], int]:
    """Standing domains of a survey: number of objects by (domain, reason)."""
    rows = con.execute(query("sets/domain_counts"), {"survey": survey}).fetchall()
    return {(domain, reason): n for domain, reason, n in rows}


def _stands(con: Connection, survey: str, population: Population) -> bool:
    row = first_row(con, query("sets/population_stands"), {"survey": survey, "sha256": population.sha256})
    return bool(row and row[0])


def _refuse_bad_domains(con: Connection, survey: str, population: Population) -> None:
    repeated = first_row(con, "SELECT object_id FROM found_domains GROUP BY object_id HAVING count(*) > 1 LIMIT 1")
    if repeated:
        raise InputError(f"the population '{population.name}' gives object {repeated[0]} twice; mend its SQL")
    foreign = first_row(con, query("sets/foreign_domains"), {"survey": survey})
    if foreign:
        raise InputError(
            f"the population '{population.name}' gives a domain to {foreign[0]}, which the catalogue of {survey} does "
            "not have; mend its SQL (WHERE survey = $survey)"
        )
    strange = first_row(
        con, "SELECT object_id, domain FROM found_domains WHERE NOT list_contains(?, domain) LIMIT 1", [list(DOMAINS)]
    )
    if strange:
        raise InputError(
            f"the population '{population.name}' gives object {strange[0]} the domain '{strange[1]}'; "
            f"use {', '.join(DOMAINS)}"
        )

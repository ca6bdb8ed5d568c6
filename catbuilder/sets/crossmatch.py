"""Cross-match the objects of two surveys by position, one to one, the nearest pairs first.

This favours purity: two DES objects never match one SDSS galaxy, and the members of a close pair of galaxies stay
separate. It is not the best overall assignment: a pair is taken even if leaving it would let two other pairs form. Khan
et al. 2019 match within 1 arcsec by astropy's `match_to_catalog_sky`, which finds the nearest neighbour of each object
and may match one galaxy to several.
"""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import pyarrow as pa

from catbuilder.catalogue.connection import Connection, fetch_arrow, first_row
from catbuilder.catalogue.read_then_record import read_then_record
from catbuilder.catalogue.workspace import Recording, Workspace
from catbuilder.core.arguments import name_list
from catbuilder.core.errors import InputError
from catbuilder.core.resources import query
from catbuilder.sets.aliases import AliasReport, find_aliases
from catbuilder.sets.pairs import Progress, Side, check_radius, find_candidates, pair_one_to_one


@dataclass(frozen=True)
class SurveyMatch:
    """Result of the cross-match of two surveys.

    Attributes
    ----------
    survey_a : str
        First survey.
    survey_b : str
        Second survey.
    objects_a : int
        Number of objects of the first survey with a position.
    objects_b : int
        Number of objects of the second survey with a position.
    pairs : int
        Number of pairs.
    median_arcsec : float or None
        Median separation of the pairs, arcsec; None if there is no pair.
    largest_arcsec : float or None
        Largest separation of a pair, arcsec; None if there is no pair.
    second_candidate : int
        Number of pairs in which either object had another candidate within the radius.
    recorded : bool
        False: the latest cross-match found the same pairs, so nothing was recorded.
    """

    survey_a: str
    survey_b: str
    objects_a: int
    objects_b: int
    pairs: int
    median_arcsec: float | None
    largest_arcsec: float | None
    second_candidate: int
    recorded: bool


_Found = tuple[SurveyMatch, pa.Table]  # with its pairs


@dataclass(frozen=True)
class CrossmatchReport:
    """Result of `crossmatch`.

    Attributes
    ----------
    images : AliasReport
        Images that were linked to catalogued objects.
    matches : tuple[SurveyMatch, ...]
        One for each pair of surveys.
    """

    images: AliasReport
    matches: tuple[SurveyMatch, ...]

    def sentences(self) -> list[str]:
        """Describe the result, beside the table of matches."""
        text = self.images.sentences()
        unchanged = [f"{match.survey_a} and {match.survey_b}" for match in self.matches if not match.recorded]
        if unchanged:
            text.append(f"The pairs of {', '.join(unchanged)} have not changed; nothing was recorded for them.")
        return text


def crossmatch(
    workspace: Workspace,
    radius_arcsec: float = 1.0,
    surveys: str | Sequence[str] | None = None,
    *,
    progress: Progress | None = None,
) -> CrossmatchReport:
    """Match every two surveys of the workspace by position, after linking images to the objects they show.

    Parameters
    ----------
    workspace : Workspace
        Workspace that the call works on.
    radius_arcsec : float
        Largest separation of a pair in arcsec, above 0 and up to 60; default 1.
    surveys : sequence of str, optional
        Names of the surveys; by default all that hold objects with positions.
    progress : callable, optional
        Called with the numbers of objects of each pair of surveys done and in all.

    Returns
    -------
    CrossmatchReport
        For each pair of surveys the number of pairs and their separations (arcsec); and the images that were linked.

    Raises
    ------
    InputError
        The radius is out of range, a survey is unknown, or fewer than two hold objects with positions.
    WorkspaceBusy
        Other processes kept recording while this one was matching.

    Examples
    --------
    >>> for match in catbuilder.crossmatch(workspace, radius_arcsec=1.0).matches:
    ...     print(match.survey_a, match.survey_b, match.pairs)
    """
    check_radius(radius_arcsec)
    surveys = None if surveys is None else name_list(surveys)
    for name in surveys or ():
        workspace.check_survey(name)
    with workspace.reading() as con:
        pairings = _pairings(workspace, con, surveys)
    images = find_aliases(workspace)

    def read(con: Connection) -> list[_Found]:
        return [_match(con, a, b, radius_arcsec, progress) for a, b in pairings]

    def record(recording: Recording, found: list[_Found]) -> None:
        for match, pairs in found:
            if match.recorded:
                _record(recording, match, radius_arcsec, pairs)

    found = read_then_record(
        workspace, f"crossmatch --radius {radius_arcsec:g}", read, lambda seen: any(m.recorded for m, _ in seen), record
    )
    return CrossmatchReport(images, tuple(match for match, _ in found))


def _pairings(workspace: Workspace, con: Connection, surveys: Sequence[str] | None) -> list[tuple[str, str]]:
    """List every two surveys, in the order of `catbuilder.toml`, or in that of their first cross-match."""
    held = {survey for (survey,) in con.execute(query("sets/match_surveys")).fetchall()}
    wanted = held if surveys is None else set(surveys)
    if surveys is not None and len(wanted) < 2:
        raise InputError(f"a cross-match needs two surveys, and only {' '.join(wanted)} was given; name another")
    if len(wanted) < 2 or wanted - held:
        there = f"only those of {' and '.join(sorted(held))}" if held else "none"
        raise InputError(
            f"a cross-match needs objects with positions of two surveys, and there are {there}; ingest them with: "
            "catbuilder ingest sdss FILE, catbuilder ingest des FILE, or ingest images with ra and dec"
        )
    known = list(workspace.config.surveys)
    order = [name for name in known if name in wanted] + sorted(wanted - set(known))
    named = set(con.execute(query("sets/match_survey_order")).fetchall())
    return [(b, a) if (b, a) in named else (a, b) for a, b in itertools.combinations(order, 2)]


def _match(con: Connection, a: str, b: str, radius_arcsec: float, progress: Progress | None) -> _Found:
    """Find the pairs of two surveys, and whether they differ from the recorded ones."""
    objects_a, objects_b = find_candidates(con, Side(a), Side(b), radius_arcsec, progress)
    pair_one_to_one(con)
    names = {"survey_a": a, "survey_b": b}
    unchanged = first_row(con, query("sets/match_unchanged"), {**names, "radius_arcsec": radius_arcsec})
    pairs, median, largest, contested = first_row(con, query("sets/match_summary")) or (0, None, None, 0)
    recorded = not (unchanged and unchanged[0])
    match = SurveyMatch(a, b, objects_a, objects_b, pairs, median, largest, contested, recorded)
    return match, fetch_arrow(con, query("sets/match_pairs"), names)


def _record(recording: Recording, match: SurveyMatch, radius_arcsec: float, pairs: pa.Table) -> None:
    stamp = {"round": recording.round, "run": recording.run}
    recording.con.register("found", pairs)
    recording.con.execute(query("sets/record_matches"), stamp)
    recording.con.execute(
        query("sets/record_crossmatch"),
        {"survey_a": match.survey_a, "survey_b": match.survey_b, "radius_arcsec": radius_arcsec,
         "pairs": match.pairs, **stamp},
    )  # fmt: skip

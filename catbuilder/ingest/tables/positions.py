"""Convert the position columns of a catalogue file to right ascension and declination (ICRS, degrees), in SQL."""

from catbuilder.catalogue.connection import Connection, first_row
from catbuilder.core.coordinates import Axis, doubt_degrees
from catbuilder.core.errors import InputError
from catbuilder.core.resources import query
from catbuilder.core.safe_text import in_one_line
from catbuilder.ingest.tables.frames import Frame
from catbuilder.ingest.tables.table_file import FileColumn
from catbuilder.ingest.tables.units import Quantity, conversion_of, describe


class PositionColumns:
    """The two columns of a position, with their units and their frame.

    Attributes
    ----------
    ra, dec : the columns: right ascension and declination, or longitude and latitude
    frame : the frame that the file states for them
    """

    def __init__(self, ra: FileColumn, dec: FileColumn, frame: str, where: object) -> None:
        """Find how the columns of the file `where` become ICRS degrees.

        Parameters
        ----------
        frame : the frame of a column that states none of its own

        Raises
        ------
        InputError
            A unit or the frame is not known, or the columns state different frames.
        """
        self.ra, self.dec = ra, dec
        self.frame = _one_frame(ra, dec, frame, where)
        equatorial = self.frame.is_equatorial
        self._quantities: dict[Axis, Quantity] = {
            "ra": "ra" if equatorial else "longitude",
            "dec": "dec" if equatorial else "latitude",
        }
        self._units = {
            axis: conversion_of(column, self._quantities[axis], where) for axis, column in self._columns().items()
        }

    @property
    def states_no_unit(self) -> bool:
        """Whether the unit of the right ascension is assumed to be degrees."""
        return not self._units["ra"].unit

    def spelling(self, axis: Axis) -> str:
        """Say why a text is no coordinate, as the end of a sentence."""
        in_hours = axis == "ra" and self.frame.is_equatorial
        if self._units[axis].sexagesimal is None:
            unit = in_one_line(self._units[axis].unit, 40)
            write = "hours as 10h12m34s" if in_hours else "degrees as 10d12m34s"
            return f"', but the unit of the column is {unit}; write {write}"
        return f"', neither degrees nor {'hours' if in_hours else 'degrees'}, minutes and seconds"

    @property
    def unreadable(self) -> str:
        """Say of a row without a usable position what may be wrong with it."""
        texts = [
            f"{in_one_line(column.name, 60)} is a text that is no number of {in_one_line(unit.unit, 40)}"
            for axis, column in self._columns().items()
            if (unit := self._units[axis]).sexagesimal is None and column.type == "VARCHAR"
        ]
        return ", or ".join(["its position is empty or not on the sky", *texts])

    def conversions(self) -> list[str]:
        """Say which of the columns are converted, and from which frame."""
        said = [
            describe(column.name, self._units[axis], self._quantities[axis])
            for axis, column in self._columns().items()
            if self._units[axis].changes
        ]
        return said if self.frame.is_icrs else [*said, f"positions from {self.frame.stated} to ICRS"]

    def add_functions(self, con: Connection) -> None:
        """Define the SQL macros that `degrees_sql` needs for texts, and the function that `icrs_sql` needs."""
        if "VARCHAR" in (self.ra.type, self.dec.type):
            for statement in con.extract_statements(query("ingest/position_macros")):
                con.execute(statement)
        if not self.frame.is_icrs:
            self.frame.add_function(con)

    def degrees_sql(self, cell: str, axis: Axis) -> str:
        """Write the SQL of a coordinate in degrees, in the file's frame; NULL if the cell is none."""
        unit, column = self._units[axis], self._columns()[axis]
        if column.type != "VARCHAR":
            return unit.sql(f"TRY_CAST({cell} AS DOUBLE)")
        # plain_signs: a typographic minus
        number = unit.sql(f"coalesce(TRY_CAST({cell} AS DOUBLE), TRY_CAST(plain_signs({cell}) AS DOUBLE))")
        in_hours = axis == "ra" and self.frame.is_equatorial
        if unit.sexagesimal is None:  # with degrees stated, 10:12:34 may be hours or degrees
            return f"coalesce({number}, lettered(plain_signs({cell}), {15 if in_hours else 'NULL'}))"
        return f"coalesce({number}, {'sexagesimal_ra' if in_hours else 'sexagesimal_dec'}({cell}))"

    def icrs_sql(self, longitude: str, latitude: str) -> str:
        """Write the SQL of `ra` and `dec` from degrees in the file's frame; right ascensions below 0 are above 180."""
        wrapped = f"CASE WHEN {longitude} >= -180 AND {longitude} < 0 THEN {longitude} + 360 ELSE {longitude} END"
        if self.frame.is_icrs:
            return f"{wrapped} AS ra, {latitude} AS dec"
        return f"icrs({longitude}, {latitude}).ra AS ra, icrs({longitude}, {latitude}).dec AS dec"

    def _columns(self) -> dict[Axis, FileColumn]:
        return {"ra": self.ra, "dec": self.dec}


def _one_frame(ra: FileColumn, dec: FileColumn, otherwise: str, where: object) -> Frame:
    """Return the frame that the columns state; where one of them states none, that of the other."""
    stated = {column.name: Frame(text, where) for column in (ra, dec) if (text := column.frame or otherwise)}
    frames = list(stated.values()) or [Frame("", where)]
    if not frames[0].is_same(frames[-1]):
        one, other = (f"{in_one_line(name, 60)} in the frame '{frame.stated}'" for name, frame in stated.items())
        raise InputError(
            f"{where} has the column {one} and {other}; a position has one frame: correct what the file states, or "
            "write both columns in one frame"
        )
    return frames[0]


def doubt_positions(con: Connection, table: str, condition: str, position: PositionColumns) -> list[str]:
    """Say if positions (columns `ra` and `dec` of a table of ours) that state no unit look like hours or radians."""
    text = query("ingest/range_of_positions").format(table=table, condition=condition)
    n, *limits = first_row(con, text) or (0,)
    doubt = doubt_degrees(n, (limits[0], limits[1]), (limits[2], limits[3])) if n else ""
    return [doubt] if doubt and position.states_no_unit else []

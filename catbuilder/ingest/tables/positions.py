"""Convert the position columns of a catalogue file to right ascension and declination (ICRS, degrees), in SQL."""

from catbuilder.catalogue.connection import Connection, first_row
from catbuilder.core.coordinates import Axis, doubt_degrees
from catbuilder.core.resources import query
from catbuilder.ingest.tables.frames import Frame
from catbuilder.ingest.tables.table_file import FileColumn
from catbuilder.ingest.tables.units import Quantity, conversion_of, describe


class PositionColumns:
    """The two columns of a position, with their units and their frame.

    Attributes
    ----------
    ra, dec : the columns: right ascension and declination, or longitude and latitude
    frame : the frame that the file states
    """

    def __init__(self, ra: FileColumn, dec: FileColumn, frame: str, where: object) -> None:
        """Find how the columns of the file `where` become ICRS degrees.

        Raises
        ------
        InputError
            A unit or the frame is not known.
        """
        self.ra, self.dec = ra, dec
        self.frame = Frame(frame, where)
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

    @property
    def spelling(self) -> str:
        """Say why a text is no right ascension, as the end of a sentence."""
        if self._units["ra"].sexagesimal is None:
            return f"', but the unit of the column is {self._units['ra'].unit}; write hours as 10h12m34s"
        return "', neither degrees nor hours, minutes and seconds"

    def conversions(self) -> list[str]:
        """Say which of the columns are converted, and from which frame."""
        said = [
            describe(column.name, self._units[axis], self._quantities[axis])
            for axis, column in self._columns().items()
            if self._units[axis].changes
        ]
        return said if self.frame.is_icrs else [*said, f"positions from {self.frame.stated} to ICRS"]

    def add_functions(self, con: Connection) -> None:
        """Define the SQL function that `icrs_sql` needs; the macros of `add_cell_functions` must be there."""
        if not self.frame.is_icrs:
            self.frame.add_function(con)

    def degrees_sql(self, cell: str, axis: Axis) -> str:
        """Write the SQL of a coordinate in degrees, in the file's frame; NULL if the cell is none."""
        unit, column = self._units[axis], self._columns()[axis]
        if column.type != "VARCHAR":
            return unit.sql(f"TRY_CAST({cell} AS DOUBLE)")
        # plain_signs: a typographic minus
        number = unit.sql(f"coalesce(TRY_CAST({cell} AS DOUBLE), TRY_CAST(plain_signs({cell}) AS DOUBLE))")
        if axis == "ra" and self.frame.is_equatorial:
            if unit.sexagesimal is None:  # with degrees stated, 10:12:34 may be hours or degrees
                return f"coalesce({number}, lettered(plain_signs({cell}), 15))"
            return f"coalesce({number}, sexagesimal_ra({cell}))"
        return f"coalesce({number}, sexagesimal_dec({cell}))"

    def icrs_sql(self, longitude: str, latitude: str) -> str:
        """Write the SQL of `ra` and `dec` from degrees in the file's frame; right ascensions below 0 are above 180."""
        wrapped = f"CASE WHEN {longitude} >= -180 AND {longitude} < 0 THEN {longitude} + 360 ELSE {longitude} END"
        if self.frame.is_icrs:
            return f"{wrapped} AS ra, {latitude} AS dec"
        return f"icrs({longitude}, {latitude}).ra AS ra, icrs({longitude}, {latitude}).dec AS dec"

    def _columns(self) -> dict[Axis, FileColumn]:
        return {"ra": self.ra, "dec": self.dec}


def doubt_positions(con: Connection, table: str, condition: str, position: PositionColumns) -> list[str]:
    """Say if positions (columns `ra` and `dec` of a table of ours) that state no unit look like hours or radians."""
    text = query("ingest/range_of_positions").format(table=table, condition=condition)
    n, *limits = first_row(con, text) or (0,)
    doubt = doubt_degrees(n, (limits[0], limits[1]), (limits[2], limits[3])) if n else ""
    return [doubt] if doubt and position.states_no_unit else []

"""Databases export numbers as decimals: ids of 20 digits, positions with six places, ids with places that are zero."""

from decimal import Decimal

import pyarrow as pa
import pyarrow.parquet as pq

BIG = 2**62 + 1


def numbers(values: list[str | int], digits: int, places: int) -> pa.Array:
    return pa.array([Decimal(value) for value in values], pa.decimal128(digits, places))


positions = {"RA": numbers(["10.123456", "11.5"], 9, 6), "DEC": numbers(["-1.5", "2.5"], 9, 6)}
flags = {"FLAGS_G": numbers([3, 4], 38, 10), "MAG_AUTO_G": numbers(["17.25", "18.5"], 10, 3)}
pq.write_table(pa.table({"COADD_OBJECT_ID": numbers([BIG, 2], 20, 0), **positions, **flags}), "whole.parquet")
pq.write_table(pa.table({"COADD_OBJECT_ID": numbers([BIG - 10, "7.5"], 38, 10), **positions}), "places.parquet")
wide = pa.array([Decimal(5), Decimal(6)], pa.decimal256(45, 0))
pq.write_table(pa.table({"COADD_OBJECT_ID": wide, **positions}), "wide.parquet")

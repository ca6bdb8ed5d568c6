"""Stamps are read by their position in a manifest, whatever the number of shards."""

import os

import numpy as np
import pyarrow as pa
import pytest

from catbuilder.core.stamps import StampReader, write_shard


def test_a_reader_of_many_shards_has_few_files_open(tmp_path, monkeypatch):
    monkeypatch.setattr("catbuilder.core.stamps._MAPPED", 4)
    stamps = np.random.default_rng(0).integers(0, 256, (30, 2, 4, 4, 3), dtype=np.uint8)
    shards = [write_shard(tmp_path, "des", of_shard) for of_shard in stamps]
    before = len(os.listdir("/proc/self/fd"))
    reader = StampReader(tmp_path, [name for name in shards for _ in range(2)], [0, 1] * 30)
    order = np.random.default_rng(1).permutation(60)
    assert np.array_equal(reader.read(order), stamps.reshape(60, 4, 4, 3)[order])
    assert len(os.listdir("/proc/self/fd")) <= before + 4


@pytest.mark.parametrize("encoded", [False, True])
def test_a_reader_stands_for_an_array_and_opens_only_what_it_reads(tmp_path, encoded):
    stamps = np.random.default_rng(0).integers(0, 256, (2, 5, 4, 4, 3), dtype=np.uint8)
    names = [write_shard(tmp_path, "des", of_shard) for of_shard in stamps]
    column = pa.chunked_array([[names[1]] * 3, [names[0], "stamps/des/none.npy"]], pa.string())
    column = (column.dictionary_encode() if encoded else column).slice(0, 4)
    reader = StampReader(tmp_path, column, [4, 0, 2, 3])
    assert len(reader) == 4 and reader.size == 4
    assert np.array_equal(reader[1:4], [stamps[1, 0], stamps[1, 2], stamps[0, 3]])
    assert len(StampReader(tmp_path, [], [])) == 0

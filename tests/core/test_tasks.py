"""Work is mapped over processes in the order of its pieces, and a process that is killed is told in a sentence."""

import os
from contextlib import closing

import pytest
from support.killed_worker import die, squared

from catbuilder.core.errors import WorkerDied
from catbuilder.core.tasks import Task, map_tasks


@pytest.mark.parametrize("processes", [1, 2])
def test_results_come_in_the_order_of_the_pieces(processes: int) -> None:
    results = list(map_tasks(Task(squared, "squares"), range(20), processes))
    assert [square for square, _ in results] == [number**2 for number in range(20)]
    assert (os.getpid() in {pid for _, pid in results}) == (processes == 1)


def test_no_more_is_done_than_the_caller_keeps_up_with() -> None:
    with closing(map_tasks(Task(squared, "squares"), range(10**6), 2)) as results:
        assert next(results)[0] == 0


def test_a_process_that_is_killed_is_told_in_a_sentence() -> None:
    with pytest.raises(WorkerDied, match=r"a process that cuts stamps was killed.*give the same command again"):
        list(map_tasks(Task(die, "cuts stamps"), range(2), 2))

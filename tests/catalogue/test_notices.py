"""The library prints nothing by itself: it logs notices, and the command line shows them on standard error."""

import logging

import pytest
from support.workspaces import cli, make_older

from catbuilder.catalogue.new_workspace import create_workspace


def test_an_upgrade_of_the_catalogue_is_logged_and_not_printed(tmp_path, monkeypatch, capfd, caplog):
    monkeypatch.setattr(logging.getLogger("catbuilder"), "handlers", [])  # those of commands run in this process
    workspace = create_workspace(tmp_path / "ws")
    make_older(workspace)
    with caplog.at_level(logging.INFO, "catbuilder"), workspace.reading():
        pass
    assert capfd.readouterr() == ("", "")
    (notice,) = [record.getMessage() for record in caplog.records]
    assert notice.startswith(f"upgraded {workspace.catalog_file}; a copy of the old catalogue is kept as ")


@pytest.mark.parametrize("times", [1, 2])
def test_the_command_line_shows_each_notice_once(tmp_path, times):
    workspace = create_workspace(tmp_path / "ws")
    for _ in range(times):
        make_older(workspace)
        said = cli("-w", workspace.path, "status").err
        assert said.count("a copy of the old catalogue is kept as") == 1

"""Where a study was made, as its crate tells it."""

import json

import pytest

from ndns.crate.environments import crate_path, graph_of, recorded_environments
from ndns.errors import UserError

PLACE = {"@id": "#environment/0123/cpu", "@type": "PropertyValue", "name": "cpu", "value": "c"}
FILE = {"@id": "score/a.csv", "@type": "File", "name": "results/s/score/a.csv"}
JOB = {"@id": "#job/a", "@type": "CreateAction", "environment": {"@id": PLACE["@id"]}, "result": [{"@id": FILE["@id"]}]}


def write(root, graph):
    path = crate_path(root, "s")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({"@graph": graph}))
    return path


def test_a_file_and_its_folder_have_the_environment_of_their_job(tmp_path):
    assert recorded_environments(tmp_path, "s") == {}
    write(tmp_path, [PLACE, FILE, JOB])
    assert recorded_environments(tmp_path, "s") == {"results/s/score/a.csv": "0123", "results/s/score": "0123"}


@pytest.mark.parametrize(
    "graph", [[PLACE, JOB], [FILE, JOB], [{"@id": FILE["@id"]}, PLACE, JOB], [5], 5, [{}], [JOB | {"result": "a"}]]
)
def test_a_crate_that_lacks_what_its_jobs_refer_to_is_named(tmp_path, graph):
    path = write(tmp_path, graph)
    with pytest.raises(UserError, match=r"ro-crate-metadata\.json: not an RO-Crate; delete it"):
        graph_of(path)

"""What a measured result says of how it was made."""

import subprocess

from sudare.audits.environment import made_by


def test_a_result_names_its_commit_and_whether_it_was_made_from_something_else(tmp_path):
    assert made_by("run", tmp_path)["commit"] == "unknown"

    def git(*words):
        subprocess.run(
            ["git", "-c", "user.name=a", "-c", "user.email=a@b", *words], cwd=tmp_path, check=True
        )

    git("init", "-q")
    (tmp_path / "a").write_text("1")
    git("add", "a")
    git("commit", "-q", "-m", "one")
    clean = made_by("run", tmp_path)
    assert len(str(clean["commit"])) >= 7
    assert set(clean) == {"command", "machine", "versions", "date", "commit"}
    (tmp_path / "a").write_text("2")
    assert made_by("run", tmp_path)["commit"] == f"{clean['commit']}-dirty"

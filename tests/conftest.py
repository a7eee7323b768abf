"""What holds for all tests: those files that take longest begin first."""

LONGEST = ("test_documentation.py", "test_examples.py", "test_cli.py", "test_resume.py")


def pytest_collection_modifyitems(items):
    """A file's tests stay in one process: begun last, one would run on while the others rest."""
    rank = {name: index for index, name in enumerate(LONGEST)}
    items.sort(key=lambda item: rank.get(item.path.name, len(LONGEST)))

import numpy as np
import pytest

from sudare.core.errors import DataError
from sudare.data.sources import load_source
from tests.data.makers import write_folder

FILES = [f"{name}/{number}.png" for name in ("cat", "dog") for number in range(4)]


@pytest.fixture
def root(tmp_path, rng):
    return write_folder(tmp_path / "pets", rng)


def write(root, header, rows, encoding="utf-8"):
    text = "\n".join([header, *rows]) + "\n"
    (root / "metadata.csv").write_bytes(text.encode(encoding))


def test_units_groups_silos_and_attributes_follow_their_images(root):
    rows = [
        f"{file},patient {index // 2},{'f' if index % 2 else 'm'},site {index // 4},{index * 10},a"
        for index, file in enumerate(FILES)
    ]
    # The order of rows is not that of the files.
    write(root, "file,unit,group,silo,age,scanner", rows[::-1], encoding="utf-8-sig")
    data = load_source(str(root)).train
    assert data.unit.tolist() == [0, 0, 1, 1, 2, 2, 3, 3]
    assert data.group_names == ("f", "m")
    assert data.groups.tolist() == [1, 0] * 4
    assert data.silo.tolist() == [0] * 4 + [1] * 4
    assert data.attributes["age"].tolist() == [index * 10 for index in range(8)]
    assert data.attributes["scanner"].tolist() == [0] * 8


def test_official_splits_are_kept_and_validation_joins_train(root):
    splits = ["train", "test", "val", "train", "test", "train", "train", "val"]
    write(root, "file,split", [f"{f},{s}" for f, s in zip(FILES, splits, strict=True)])
    whole = load_source(str(root))
    assert whole.splits == {"train": 4, "val": 2, "test": 2}
    assert whole.train.labels.tolist() == [0, 0, 0, 1, 1, 1]
    assert whole.test.labels.tolist() == [0, 1]
    assert not np.intersect1d(whole.train.unit, whole.test.unit).size


def test_a_unit_in_train_and_test_is_refused_with_both_files(root):
    rows = [f"{f},{'test' if f == 'dog/3.png' else 'train'},{f[0]}" for f in FILES]
    write(root, "file,split,unit", rows)
    with pytest.raises(DataError, match="unit 'd' is in both train and test") as caught:
        load_source(str(root))
    assert "'dog/0.png' and 'dog/3.png'" in caught.value.what
    assert caught.value.where == str(root / "metadata.csv")


@pytest.mark.parametrize(
    ("header", "rows", "message"),
    [
        ("name", FILES, "there is no column 'file'"),
        ("file,unit", [f"{f},1" for f in FILES[1:]], "'cat/0.png' has no row"),
        ("file,unit", [f"{f},1" for f in [*FILES, "cat/9.png"]], "'cat/9.png' is no image"),
        ("file,unit", [f"{f},1" for f in [*FILES, FILES[2]]], "'cat/2.png' has two rows"),
        ("file,unit", [f"{f}," for f in FILES], "line 2 has no unit"),
        ("file,unit", FILES, "line 2 has 1 of 2 cells"),
        ("file,split", [f"{f},dev" for f in FILES], "split 'dev' of 'cat/0.png' is unknown"),
        ("file,unit,unit", [f"{f},1,2" for f in FILES], "two columns have the same name"),
        ("file,split", [f"{f},test" for f in FILES], "there is no training image"),
    ],
)
def test_a_table_that_does_not_fit_the_images_is_refused(root, header, rows, message):
    write(root, header, rows)
    with pytest.raises(DataError, match=message):
        load_source(str(root))


def test_an_empty_table_is_refused(root):
    (root / "metadata.csv").write_text("")
    with pytest.raises(DataError, match="there is no column 'file'"):
        load_source(str(root))


def test_a_table_in_another_encoding_is_refused(root):
    write(root, "file,unit", [f"{f},Müller" for f in FILES], encoding="latin-1")
    with pytest.raises(DataError, match="the table cannot be read"):
        load_source(str(root))


@pytest.mark.parametrize(
    ("header", "row", "message"),
    [
        ("file;unit", "{};1", "separated by semicolons"),
        ("file\tunit", "{}\t1", "separated by tabs"),
        ("filename,unit", "{},1", "Rename 'filename' to 'file'"),
        ("picture,unit", "{},1", "there is no column 'file' but picture, unit"),
    ],
)
def test_a_header_that_is_nearly_right_says_what_to_change(root, header, row, message):
    write(root, header, [row.format(file) for file in FILES])
    with pytest.raises(DataError, match=message):
        load_source(str(root))


def test_bare_file_names_are_told_of_their_class_folder(root):
    write(root, "file,unit", [f"{file.split('/')[1]},{n}" for n, file in enumerate(FILES)][:4])
    with pytest.raises(DataError, match=r"Write the class folder before it"):
        load_source(str(root))


def test_blank_cells_of_a_column_that_is_not_used_are_blank(root):
    write(root, "file,unit,notes", [f"{file},{n}," for n, file in enumerate(FILES)])
    assert len(load_source(str(root)).train) == len(FILES)

"""Every store does the same: what was put is found, what changed is new, what is unknown is said."""

from __future__ import annotations

import json
import shutil
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from ranking.data.store import FeatureStore, Table, build_store, open_store, read_table
from ranking.errors import DataError, UsageError

NAMES = ("price", "sales", "rating")
ROWS = np.array([[1, 2, 3], [4, np.nan, 6]], np.float32)
TABLE = Table(NAMES, ["sku-1", "sku-ü"], ROWS)
Address = Callable[[str], str]


@pytest.fixture(scope="session")
def redis_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A real Redis of its own."""
    binary = shutil.which("redis-server")
    if binary is None:
        pytest.skip("redis-server is not installed")
    pytest.importorskip("redis")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    folder = tmp_path_factory.mktemp("redis")
    command = [binary, "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--dir", str(folder)]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    try:
        for _ in range(100):
            try:
                socket.create_connection(("127.0.0.1", port), 0.1).close()
                break
            except OSError:
                time.sleep(0.05)
        yield f"redis://127.0.0.1:{port}/0"
    finally:
        process.terminate()
        process.wait(10)


@pytest.fixture(params=["folder", "redis"])
def address(request: pytest.FixtureRequest, tmp_path: Path) -> Address:
    """The address of a store by name."""
    if request.param == "folder":
        return lambda name: str(tmp_path / name)
    server = request.getfixturevalue("redis_server")
    prefix = f"{request.node.name}-{tmp_path.name}"
    return lambda name: f"{server}?prefix={prefix}-{name}"


@pytest.fixture
def store(address: Address) -> Iterator[FeatureStore]:
    build_store(address("one"), TABLE)
    opened = open_store(address("one"))
    yield opened
    opened.close()


def test_rows_come_in_the_order_asked_for(store: FeatureStore) -> None:
    """Unknown ids are named by their place and have no value."""
    rows, unknown = store.rows(["sku-ü", "nope", "sku-1", "sku-1"])
    assert store.feature_names == NAMES
    np.testing.assert_array_equal(rows, [ROWS[1], [np.nan] * 3, ROWS[0], ROWS[0]])
    assert unknown.tolist() == [1]
    assert store.rows([])[0].shape == (0, 3)


def test_what_is_put_replaces_and_what_is_deleted_is_unknown(store: FeatureStore) -> None:
    """Whole rows, for known and for new ids."""
    store.put(["sku-1", "new"], np.array([[9, 9, 9], [8, np.nan, 8]], np.float32))
    store.delete(["sku-ü", "never there"])
    rows, unknown = store.rows(["sku-1", "new", "sku-ü"])
    np.testing.assert_array_equal(rows[:2], [[9, 9, 9], [8, np.nan, 8]])
    assert unknown.tolist() == [2]


def test_many_threads_read_while_one_writes(store: FeatureStore) -> None:
    """Every row that is read is one that was written."""
    wrong: list[object] = []

    def read() -> None:
        for _ in range(50):
            rows, unknown = store.rows(["sku-1"] * 3)
            if len(unknown) or len(set(rows[:, 0].tolist())) != 1 or not (rows == rows[:, :1]).all():
                wrong.append(rows)

    store.put(["sku-1"], np.full((1, 3), 0, np.float32))
    threads = [threading.Thread(target=read) for _ in range(4)]
    for thread in threads:
        thread.start()
    for value in range(20):
        store.put(["sku-1"], np.full((1, 3), value, np.float32))
    for thread in threads:
        thread.join()
    assert not wrong


def test_a_second_store_sees_what_the_first_has_put(address: Address) -> None:
    """Replicas agree."""
    build_store(address("one"), TABLE)
    one, other = open_store(address("one")), open_store(address("one"))
    assert other.rows(["x"])[1].tolist() == [0]
    one.put(["x"], np.ones((1, 3), np.float32))
    assert other.rows(["x"])[1].tolist() == []
    one.close()
    other.close()


def test_a_build_replaces_the_rows_of_an_open_folder(tmp_path: Path) -> None:
    """Changes made before it are older than it; the old files go."""
    folder = tmp_path / "store"
    build_store(str(folder), TABLE)
    store = open_store(str(folder))
    store.put(["sku-1"], np.full((1, 3), 5, np.float32))
    build_store(str(folder), Table(("price",), ["sku-9"], np.array([[7]], np.float32)))
    rows, unknown = store.rows(["sku-9", "sku-1"])
    assert store.feature_names == ("price",)
    assert (rows[0, 0], unknown.tolist()) == (7, [1])
    assert len(list(folder.glob("packed-*"))) == 1
    store.close()


@pytest.mark.parametrize("part", ["matrix.npy", "slots.npy", "starts.npy", "names.json"])
@pytest.mark.parametrize("damage", [b"", b"\x93NUMPY", b"x" * 200])
def test_a_damaged_folder_is_refused(tmp_path: Path, part: str, damage: bytes) -> None:
    """Compiled code relies on what these files say of each other."""
    build_store(str(tmp_path / "store"), TABLE)
    (file,) = (tmp_path / "store").glob(f"packed-*/{part}")
    file.write_bytes(damage)
    with pytest.raises(DataError, match="build it again"):
        open_store(str(tmp_path / "store"))


def test_a_table_that_points_elsewhere_is_refused(tmp_path: Path) -> None:
    """A slot beyond the rows would read foreign memory."""
    build_store(str(tmp_path / "store"), TABLE)
    (file,) = (tmp_path / "store").glob("packed-*/slots.npy")
    slots = np.load(file)
    slots[0] = 2
    np.save(file, slots)
    with pytest.raises(DataError, match="do not belong together"):
        open_store(str(tmp_path / "store"))


def test_no_store_and_a_foreign_folder_are_refused(tmp_path: Path) -> None:
    """With what to do about it."""
    with pytest.raises(DataError, match="features build"):
        open_store(str(tmp_path))
    (tmp_path / "mine.txt").write_text("precious")
    with pytest.raises(DataError, match="exists and is no feature store"):
        build_store(str(tmp_path), TABLE)


def test_a_redis_that_is_away_is_an_error_of_ours() -> None:
    """Within its time limit."""
    pytest.importorskip("redis")
    with pytest.raises(DataError, match="does not answer"):
        open_store("redis://127.0.0.1:1/0")


def test_other_columns_are_not_mixed_into_a_redis_store(redis_server: str) -> None:
    """Their rows would be misread."""
    address = f"{redis_server}?prefix=columns"
    build_store(address, TABLE)
    with pytest.raises(DataError, match="other columns"):
        build_store(address, Table(("x",), ["a"], np.ones((1, 1), np.float32)))


def test_csv_parquet_and_letor_give_the_same_table(tmp_path: Path) -> None:
    """ids as text, absent values missing."""
    pd = pytest.importorskip("pandas")
    frame = pd.DataFrame({"sku": ["01", "2"], "price": [1.5, None], "sales": [3, 4]})
    csv, parquet = tmp_path / "rows.csv", tmp_path / "rows.parquet"
    frame.to_csv(csv, index=False)
    pytest.importorskip("pyarrow")
    frame.to_parquet(parquet)
    letor = tmp_path / "rows.txt"
    letor.write_text("1 qid:1 1:1.5 2:3 # docid = 01\n0 qid:1 2:4 # docid = 2\n0 qid:2 2:4 # docid = 2\n")
    expected = np.array([[1.5, 3], [np.nan, 4]], np.float32)
    for table in (
        read_table([str(csv)], "sku"),
        read_table([str(parquet)], "sku"),
        read_table([str(letor)], names=("price", "sales")),
    ):
        assert (table.ids, table.feature_names) == (["01", "2"], ("price", "sales"))
        np.testing.assert_array_equal(table.matrix, expected)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("sku,a\n1,2\n", "no column 'id'"),
        ("id,a\n,2\n", "row 1 has no id"),
        ("id,a\n1,two\n", "column 'a' holds no numbers"),
        ("id,a\n1,2\n1,3\n", "'1' has two rows that differ"),
        ("id,a\n1,1e99\n", "infinite"),
    ],
)
def test_a_bad_table_is_refused_with_its_place(tmp_path: Path, text: str, message: str) -> None:
    """Before anything is written."""
    file = tmp_path / "rows.csv"
    file.write_text(text)
    with pytest.raises(DataError, match=message):
        read_table([str(file)])


def test_formats_are_not_mixed(tmp_path: Path) -> None:
    """Their columns have other names."""
    with pytest.raises(UsageError, match="several formats"):
        read_table(["a.csv", "b.txt"])


def test_the_pointer_is_json_that_names_a_folder_inside(tmp_path: Path) -> None:
    """A path out of the store is refused."""
    build_store(str(tmp_path / "store"), TABLE)
    (tmp_path / "store" / "store.json").write_text(json.dumps({"format": 1, "packed": "../elsewhere"}))
    with pytest.raises(DataError, match="cannot be used"):
        open_store(str(tmp_path / "store"))

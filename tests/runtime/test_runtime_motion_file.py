"""Files of motion: what can be mended is mended and said, what cannot is refused with its place and reason."""

import sys

import numpy as np
import pytest

from anchorstream.runtime import MotionFileError, read_motion

RATE_HZ = 50
G = 9.80665


def still(count=200, columns=3, seed=0):
    """A wrist at rest that trembles a little, (count, columns)."""
    rng = np.random.default_rng(seed)
    return np.array([0.6, 0.0, 0.8, 0.0, 0.0, 0.0])[:columns] + 0.01 * rng.standard_normal((count, columns))


def clock(count=200, rate_hz=RATE_HZ):
    return np.arange(count) / rate_hz


@pytest.fixture
def table(tmp_path):
    """Writes a CSV file and returns its path."""

    def write(times, readings, header="time,ax,ay,az", delimiter=","):
        rows = [header] + [
            delimiter.join(cell if isinstance(cell, str) else repr(float(cell)) for cell in [time, *reading])
            for time, reading in zip(times, readings, strict=True)
        ]
        path = tmp_path / "motion.csv"
        path.write_text("\n".join(rows) + "\n", encoding="utf-8")
        return path

    return write


@pytest.fixture
def text(tmp_path):
    def write(content, name="motion.csv"):
        path = tmp_path / name
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return path

    return write


def test_a_plain_file_is_read_as_it_is(table):
    times_s, readings = clock(), still()
    motion = read_motion(table(times_s, readings))
    np.testing.assert_allclose(motion.times_s, times_s, atol=1e-12)
    np.testing.assert_allclose(motion.readings, readings, rtol=1e-6)
    assert (motion.times_s.dtype, motion.readings.dtype) == (np.float64, np.float32)
    assert (motion.start_s, motion.notes) == (0.0, ())


def test_the_start_of_the_sensors_clock_is_kept_apart(table):
    motion = read_motion(table(clock() + 1234.5, still()))
    np.testing.assert_allclose(motion.times_s, clock(), atol=1e-9)
    assert motion.start_s == 1234.5


@pytest.mark.parametrize(
    "header",
    [
        "time,ax,ay,az,gx,gy,gz",
        "Timestamp,Acc_X,ACC_Y,acc_z,Gyro_X,gyro_y,GYRO_Z",
        "t,accel_x,accel_y,accel_z,gyr_x,gyr_y,gyr_z",
        "seconds_elapsed,x,y,z,gx,gy,gz",
        "time (s),accelerometer.x,accelerometer.y,accelerometer.z,rotationRate.x,rotationRate.y,rotationRate.z",
        "elapsed [s],accX (m/s²),accY (m/s²),accZ (m/s²),gyroX (rad/s),gyroY (rad/s),gyroZ (rad/s)",
        '"time"," ax "," ay "," az ","wx","wy","wz"',
    ],
)
def test_the_usual_names(table, header):
    readings = still(columns=6)
    motion = read_motion(table(clock(), readings, header))
    np.testing.assert_allclose(motion.readings, readings, rtol=1e-5)


def test_columns_may_stand_in_any_order_among_others(text):
    rows = "\n".join(f"walk,0.8,7,0.6,{i * 20},0" for i in range(100))
    motion = read_motion(text(f"activity,az,steps,ax,time_ms,ay\n{rows}\n"))
    np.testing.assert_allclose(motion.readings, np.tile([0.6, 0, 0.8], (100, 1)), rtol=1e-6)
    np.testing.assert_allclose(motion.times_s, clock(100), atol=1e-12)


def test_named_axes_go_before_bare_ones(text):
    rows = "\n".join(f"{i * 0.02},5,5,5,0,0,1" for i in range(100))
    motion = read_motion(text(f"time,x,y,z,acc_x,acc_y,acc_z\n{rows}\n"))
    np.testing.assert_array_equal(motion.readings[0], [0, 0, 1])


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
def test_cells_may_be_parted_by_semicolons_or_tabs(table, delimiter):
    header = delimiter.join(["time", "ax", "ay", "az"])
    assert len(read_motion(table(clock(), still(), header, delimiter)).times_s) == 200


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r\n\r\n"])
def test_line_ends_byte_order_mark_and_blank_lines(text, end):
    rows = end.join(["\ufefftime,ax,ay,az", *(f"{i / 50},0,0,1" for i in range(100)), ""])
    assert len(read_motion(text(rows)).times_s) == 100


# Units


@pytest.mark.parametrize(
    ("name", "scale", "unit"),
    [
        ("time", 1e3, "ms"),
        ("timestamp", 1e6, "us"),
        ("time", 1e9, "ns"),
        ("time_ms", 1e3, None),
        ("timeMs", 1e3, None),
        ("timestamp_us", 1e6, None),
        ("time (µs)", 1e6, None),
        ("timestamp_ns", 1e9, None),
        ("time_s", 1, None),
    ],
)
@pytest.mark.parametrize("rate_hz", [10, 50, 400])
def test_the_unit_of_time_is_named_or_found_and_said(table, name, scale, unit, rate_hz):
    motion = read_motion(table(clock(rate_hz=rate_hz) * scale, still(), f"{name},ax,ay,az"))
    np.testing.assert_allclose(motion.times_s, clock(rate_hz=rate_hz), atol=1e-9)
    if unit is None:
        assert motion.notes == ()
    else:
        assert f"taken as {unit}, a rate of {rate_hz} Hz" in motion.notes[0]


def test_nanoseconds_since_1970(text):
    rows = "\n".join(f"{1_764_000_000_000_000_000 + i * 20_000_000},0,0,1" for i in range(100))
    motion = read_motion(text(f"timestamp_ns,ax,ay,az\n{rows}\n"))
    # Numbers of that size are whole in steps of 256 ns.
    np.testing.assert_allclose(motion.times_s, clock(100), atol=3e-7)
    assert motion.start_s == pytest.approx(1_764_000_000)


def test_of_two_times_the_one_that_names_its_unit_is_taken(text):
    rows = "\n".join(f"{i},{i * 20},0,0,1" for i in range(100))
    motion = read_motion(text(f"time,timestamp_ms,ax,ay,az\n{rows}\n"))
    np.testing.assert_allclose(motion.times_s, clock(100), atol=1e-12)


@pytest.mark.parametrize(("one_g", "unit"), [(1.0, None), (G, "m/s²"), (1000.0, "mg")])
def test_the_unit_of_acceleration_is_found_by_gravity_and_said(table, one_g, unit):
    motion = read_motion(table(clock(), still() * one_g))
    np.testing.assert_allclose(motion.readings, still(), rtol=1e-5)
    assert motion.notes == () if unit is None else f"taken as {unit}" in motion.notes[0]


@pytest.mark.parametrize(
    ("one_g", "why"),
    [
        (0.05, "without gravity cannot be used"),
        (0.0, "without gravity"),
        (3.0, "counts"),
        (16384.0, "counts"),
    ],
)
def test_acceleration_that_is_no_unit_is_refused_with_the_figure(table, one_g, why):
    with pytest.raises(MotionFileError, match=why) as caught:
        read_motion(table(clock(), np.tile([0.0, one_g, 0.0], (200, 1))))
    assert f"median length of {one_g:.4g}" in str(caught.value)


@pytest.mark.parametrize("prefix", ["userAcceleration", "linear_acceleration_"])
def test_acceleration_without_gravity_is_told_by_its_name(table, prefix):
    header = ",".join(["time", *(prefix + axis for axis in "xyz")])
    with pytest.raises(MotionFileError, match="without gravity"):
        read_motion(table(clock(), still(), header))


@pytest.mark.parametrize("suffix", ["_dps", "_deg", "_deg_s", " (deg/s)", " [Deg/s]"])
def test_degrees_are_told_by_the_name(table, suffix):
    readings = still(columns=6)
    readings[:, 3:] = [90, 180, -360]
    header = ",".join(["time", "ax", "ay", "az", *(f"g{axis}{suffix}" for axis in "xyz")])
    motion = read_motion(table(clock(), readings, header))
    np.testing.assert_allclose(motion.readings[:, 3:], np.tile([np.pi / 2, np.pi, -2 * np.pi], (200, 1)))
    assert motion.notes == ()


def test_a_gyroscope_without_a_unit_is_in_rad_s_and_that_is_said(table):
    motion = read_motion(table(clock(), still(columns=6), "time,ax,ay,az,gx,gy,gz"))
    assert "taken as rad/s" in motion.notes[0]


@pytest.mark.parametrize(("suffix", "value", "why"), [("", 250, "gx_dps"), ("_dps", 5000, "name deg/s")])
def test_an_absurd_gyroscope_is_refused(table, suffix, value, why):
    readings = still(columns=6)
    readings[7, 4] = -value
    header = ",".join(["time", "ax", "ay", "az", *(f"g{axis}{suffix}" for axis in "xyz")])
    with pytest.raises(MotionFileError, match="faster than 40") as caught:
        read_motion(table(clock(), readings, header))
    assert why in str(caught.value)


# What is mended


def test_rows_out_of_order_are_sorted_and_counted(table):
    times_s, readings = clock(), still()
    order = np.arange(200)
    order[[10, 11]], order[[50, 51]] = [11, 10], [51, 50]
    motion = read_motion(table(times_s[order], readings[order]))
    np.testing.assert_allclose(motion.times_s, times_s, atol=1e-12)
    np.testing.assert_allclose(motion.readings, readings, rtol=1e-6)
    assert motion.notes == ("2 row(s) are out of the order of time: sorted",)


def test_rows_of_one_time_are_averaged_and_counted(table):
    times_s, readings = clock(), np.tile([0.0, 0.0, 1.0], (200, 1))
    times_s[21] = times_s[20]
    readings[20], readings[21] = [0.2, 0, 1], [0.4, 0, 1]
    motion = read_motion(table(times_s, readings))
    assert len(motion.times_s) == 199
    assert (np.diff(motion.times_s) > 0).all()
    np.testing.assert_allclose(motion.readings[20], [0.3, 0, 1], rtol=1e-6)
    assert motion.notes == ("1 row(s) repeat a time stamp: the mean of the rows is taken",)


@pytest.mark.parametrize("missing", ["", "nan", "NaN", "null", " NA ", "inf", "-inf", "1e300"])
@pytest.mark.parametrize(("column", "what"), [(0, "no time stamp"), (2, "no number in a channel")])
def test_rows_that_lack_something_are_dropped_and_counted(table, missing, column, what):
    rows = [[str(time), *map(str, reading)] for time, reading in zip(clock(), still(), strict=True)]
    for row in (3, 4, 5):
        rows[row][column] = missing
    motion = read_motion(table([row[0] for row in rows], [row[1:] for row in rows]))
    assert len(motion.times_s) == 197
    assert np.isfinite(motion.readings).all()
    assert len(motion.notes) == 1
    assert motion.notes[0].startswith(f"3 of 200 rows have {what}")
    assert motion.notes[0].endswith("dropped")


@pytest.mark.parametrize(("column", "what"), [(0, "no time stamp"), (2, "no number in a channel")])
@pytest.mark.parametrize("lacking", [101, 200])
def test_a_file_that_mostly_lacks_something_is_refused(table, column, what, lacking):
    rows = [["0.02", "0.0", "0.0", "1.0"] for _ in range(200)]
    for row in rows[:lacking]:
        row[column] = ""
    with pytest.raises(MotionFileError, match=rf"{lacking} of 200 rows have {what}"):
        read_motion(table([row[0] for row in rows], [row[1:] for row in rows]))


def test_a_file_that_was_cut_off_in_a_line_loses_that_line(text):
    rows = "\n".join(f"{i / 50},0,0,1" for i in range(100))
    motion = read_motion(text(f"time,ax,ay,az\n{rows}\n2.0,0"))
    assert len(motion.times_s) == 100
    assert motion.notes[0].startswith("1 of 101 rows")


def test_a_gap_stays_a_gap_and_is_said(table):
    times_s = clock()
    times_s[100:] += 10
    motion = read_motion(table(times_s, still()))
    np.testing.assert_allclose(motion.times_s, times_s, atol=1e-12)
    assert motion.notes == (
        "1 gap(s) of more than 0.25 s, the longest 10.02 s from 1.98 s on: there the sensor is taken as off",
    )


def test_a_gap_of_years_takes_no_memory(table):
    times_s = clock()
    times_s[100:] += 1e9
    assert "the longest 1000000000" in read_motion(table(times_s, still())).notes[0]


# What is refused


@pytest.mark.parametrize("rate_hz", [1, 5, 8, 500, 1000])
def test_a_rate_that_is_no_sensors_is_refused_and_named(table, rate_hz):
    with pytest.raises(MotionFileError, match=rf"rate of {rate_hz} Hz; expected 10 to 400 Hz"):
        read_motion(table(clock(rate_hz=rate_hz), still(), "time_s,ax,ay,az"))


def test_a_rate_that_fits_no_unit_is_refused_with_all(table):
    with pytest.raises(MotionFileError, match=r"2 Hz in s, 2000 Hz in ms.*expected 10 to 400 Hz"):
        read_motion(table(clock(rate_hz=2), still()))


def test_a_unit_that_is_named_wrongly_is_told(table):
    with pytest.raises(MotionFileError, match=r"0.02 ms.*in s it would be 50 Hz"):
        read_motion(table(clock(), still(), "time_ms,ax,ay,az"))


@pytest.mark.parametrize(
    ("header", "reason"),
    [
        ("ax,ay,az,label", "no column with the time"),
        ("time,ax,ay,label", "no column for az"),
        ("time,label,more,other", "no column for ax, ay, az"),
    ],
)
def test_missing_columns_are_named_with_those_that_are_there(text, header, reason):
    with pytest.raises(MotionFileError, match=reason) as caught:
        read_motion(text(f"{header}\n0,0,0,1\n"))
    assert ", ".join(f"'{name}'" for name in header.split(",")) in str(caught.value)


@pytest.mark.parametrize(
    ("header", "reason"),
    [
        ("time,ax,ay,az,gx,gz", "only gx, gz of the gyroscope"),
        ("time,ax,ay,az,acc_x", "both 'ax' and 'acc_x' could be ax"),
        ("time,ax,ay,az,gx_dps,gy_dps,gz", "different units"),
    ],
)
def test_columns_that_leave_a_doubt_are_refused(text, header, reason):
    with pytest.raises(MotionFileError, match=reason):
        read_motion(text(f"{header}\n0,0,0,1,0,0,0\n"))


def test_text_in_a_number_column_is_refused_with_its_line(text):
    with pytest.raises(MotionFileError, match=r"line 4: 'walking' in column 'ay' is no number"):
        read_motion(text("time,ax,ay,az\n0,0,0,1\n0.02,0,0,1\n0.04,0,walking,1\n"))


def test_decimal_commas_are_refused(text):
    with pytest.raises(MotionFileError, match="line 2 has 8 cells, the header names 4 columns"):
        read_motion(text("time,ax,ay,az\n0,02,0,1,0,0,1,0\n"))
    with pytest.raises(MotionFileError, match="line 2: '0,02' in column 'time' is no number"):
        read_motion(text("time;ax;ay;az\n0,02;0;0;1\n"))


def test_a_file_without_a_header_is_told_what_it_lacks(text):
    with pytest.raises(MotionFileError, match=r"no header.*time,ax,ay,az"):
        read_motion(text("0.0,0.1,0.2,1.0\n0.02,0.1,0.2,1.0\n"))


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ("", "is empty"),
        ("\n\n", "begins with an empty line"),
        ("time,ax,ay,az\n", "nothing follows the header"),
        ("time,ax,ay,az", "nothing follows the header"),
        ("time,ax,ay,az\n0,0,0,1\n", r"holds 1 reading"),
        ("time,ax,ay,az\n0,0,0,1\n0,0,0,1\n0,0,0,1\n", r"holds 1 reading"),
        (b"time,ax,ay,az\n\xff\xfe\x00\n", "no text in UTF-8|no CSV"),
        (b"\xff\xfet\x00i\x00m\x00e\x00", "no text in UTF-8"),
        (b"time,ax,ay,az\n0,\x000,0,1\n", r"no CSV|is no number"),
        ('time,ax,ay,az\n0,"0,0,1\n', "no CSV"),
        ("time,ax,ay,az\n0," + "1" * 200_000 + ",0,1\n", "no CSV"),
        ("a" * 2_000_000, "no column with the time|no CSV"),
        ("," * 5_000 + "\n", "empty line"),
        ("time" + ",a" * 5_000 + "\n", "5,001 columns"),
        ("time,ax,ay,az\n0,0,0,1\n5e-324,0,0,1\n", "expected 10 to 400 Hz"),
        (b"PAR1 and no more", "no Parquet file|Parquet files need pyarrow"),
    ],
    ids=lambda value: str(value[:20]),
)
def test_broken_and_hostile_files_are_refused(text, content, reason):
    path = text(content)
    with pytest.raises((MotionFileError, ImportError), match=reason) as caught:
        read_motion(path)
    assert str(caught.value).startswith(f"{path}: ")
    assert len(str(caught.value)) < len(str(path)) + 2_500


def test_names_that_steer_a_terminal_are_shown_as_text(text):
    with pytest.raises(MotionFileError) as caught:
        read_motion(text("\x1b[2Jtime,\x07,\u202e\n1,2,3\n"))
    assert str(caught.value).isprintable()
    assert "\u202e" not in str(caught.value)


def test_a_file_that_is_too_large_is_refused_unread(text):
    path = text("time,ax,ay,az\n")
    with path.open("ab") as file:
        file.truncate(300 * 1024 * 1024)  # a hole: it takes no room
    with pytest.raises(MotionFileError, match="cut it into shorter recordings"):
        read_motion(path)


def test_too_many_readings_are_refused(table, monkeypatch):
    monkeypatch.setattr("anchorstream.runtime.motion_table._MOST_READINGS", 199)
    with pytest.raises(MotionFileError, match="more than 199 readings"):
        read_motion(table(clock(), still()))


def test_a_folder_and_a_missing_file(tmp_path):
    with pytest.raises(MotionFileError, match="no regular file"):
        read_motion(tmp_path)
    with pytest.raises(MotionFileError, match="there is no such file"):
        read_motion(tmp_path / "missing.csv")


# Parquet


def parquet(path, columns):
    pyarrow = pytest.importorskip("pyarrow")
    import pyarrow.parquet as pq

    pq.write_table(pyarrow.table(columns), path)
    return path


def test_parquet_is_read_like_csv(tmp_path):
    readings = still(columns=6)
    columns = {"label": ["rest"] * 200, "timestamp": (clock() * 1e9).astype(np.int64)}
    columns |= {name: readings[:, i] for i, name in enumerate(["ax", "ay", "az", "gx", "gy", "gz"])}
    motion = read_motion(parquet(tmp_path / "motion.parquet", columns))
    np.testing.assert_allclose(motion.times_s, clock(), atol=1e-12)
    np.testing.assert_allclose(motion.readings, readings, rtol=1e-6)
    assert "taken as ns" in motion.notes[0]


def test_parquet_time_stamps_know_their_unit_and_rows_without_are_dropped(tmp_path):
    pyarrow = pytest.importorskip("pyarrow")
    times = [None if i == 5 else 1_764_000_000_000 + 20 * i for i in range(200)]
    columns = {"time": pyarrow.array(times, pyarrow.timestamp("ms"))}
    columns |= {name: still().astype(np.float32)[:, i] for i, name in enumerate(["ax", "ay", "az"])}
    motion = read_motion(parquet(tmp_path / "motion.parquet", columns))
    np.testing.assert_allclose(motion.times_s, np.delete(clock(), 5), atol=1e-12)
    assert len(motion.notes) == 1
    assert motion.notes[0].startswith("1 of 200 rows have no time stamp")


def test_parquet_that_holds_text_or_nothing_is_refused(tmp_path):
    columns = {"time": ["a"], "ax": [0.0], "ay": [0.0], "az": [1.0]}
    with pytest.raises(MotionFileError, match="column 'time' holds string: expected numbers"):
        read_motion(parquet(tmp_path / "text.parquet", columns))
    none = {name: np.zeros(0) for name in ("time", "ax", "ay", "az")}
    with pytest.raises(MotionFileError, match="holds no reading"):
        read_motion(parquet(tmp_path / "none.parquet", none))


def test_parquet_that_was_cut_off_is_refused(tmp_path):
    columns = {"time": clock(), "ax": clock(), "ay": clock(), "az": clock()}
    path = parquet(tmp_path / "cut.parquet", columns)
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(MotionFileError, match=r"cut\.parquet: is no Parquet file that can be read"):
        read_motion(path)


def test_a_name_that_promises_parquet(text):
    with pytest.raises(MotionFileError, match="is no Parquet file, though its name says so"):
        read_motion(text("time,ax,ay,az\n0,0,0,1\n", "motion.parquet"))


def test_parquet_without_pyarrow_names_the_extra(text, monkeypatch):
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(ImportError, match=r'pip install "anchorstream\[parquet\]"'):
        read_motion(text(b"PAR1...."))

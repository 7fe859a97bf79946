"""Laws of problems read from files."""

from __future__ import annotations

import json
import logging
import pickle
from io import BytesIO

import pyarrow
import pytest
from PIL import Image
from pyarrow import parquet

from lmm_r1.answer_rules import AnswerRules
from lmm_r1.data.local import LocalDataset
from lmm_r1.errors import BadRowError, UserError
from lmm_r1.types import IMAGE_MARKER


def write(folder, rows, name="problems.jsonl"):
    path = folder / name
    path.write_text("".join((row if isinstance(row, str) else json.dumps(row)) + "\n" for row in rows))
    return path


def png(colour="red", size=(8, 6), mode="RGB") -> bytes:
    stream = BytesIO()
    Image.new(mode, size, colour).save(stream, "PNG")
    return stream.getvalue()


def test_a_text_file_gives_its_problems_in_order(tmp_path):
    rows = [{"question": f"{n} + 1 = ?", "answer": n + 1} for n in range(3)]
    problems = LocalDataset(write(tmp_path, rows))
    assert [problem.question for problem in problems] == ["0 + 1 = ?", "1 + 1 = ?", "2 + 1 = ?"]
    assert [problem.answer for problem in problems] == ["1", "2", "3"]
    first = problems[0]
    assert (first.source, first.rendering, first.answer_type, first.images) == (
        "problems",
        "text_only",
        "math",
        (),
    )


def test_bad_rows_are_left_out_counted_and_named_by_line(tmp_path, caplog):
    rows = [
        {"question": "good", "answer": "1"},
        "{not json",
        {"question": "no gold"},
        {"question": "null gold", "answer": None},
        {"question": "blank gold", "answer": "  "},
        "",
        "[1, 2]",
        {"question": "no file", "answer": "1", "image": "gone.png"},
        {"question": f"{IMAGE_MARKER} but no picture", "answer": "1"},
        {"question": "a list", "answer": [1, 2]},
        {"answer": "1"},
        {"question": "good too", "answer": "2"},
    ]
    with caplog.at_level(logging.WARNING):
        problems = LocalDataset(write(tmp_path, rows))
    assert [problem.question for problem in problems] == ["good", "good too"]
    assert [(bad.line, bad.reason) for bad in problems.bad_rows] == [
        (2, "not JSON"),
        (3, "no field answer"),
        (4, "answer is null"),
        (5, "answer is empty"),
        (7, "not a JSON object"),
        (8, "picture file missing"),
        (9, "1 <image> for 0 pictures"),
        (10, "answer is a list"),
        (11, "no field question"),
    ]
    (message,) = (record.getMessage() for record in caplog.records)
    assert "problems.jsonl: left out 9 rows" in message
    assert "not JSON (1: line 2)" in message and "picture file missing (1: line 8)" in message
    assert "\n" not in message


def test_the_message_lists_twenty_bad_rows_and_counts_them_all(tmp_path, caplog):
    with caplog.at_level(logging.WARNING):
        problems = LocalDataset(write(tmp_path, [{"question": "good", "answer": "1"}, *["oops"] * 50]))
    assert len(problems.bad_rows) == 50
    # Without the path, which may hold any number.
    message = caplog.messages[0].partition("problems.jsonl: ")[2]
    assert "not JSON (50: line 2, 3," in message and ", 21)" in message and "22" not in message


def test_a_file_without_a_usable_row_is_refused_with_its_fields(tmp_path):
    path = write(tmp_path, [{"problem": "2 + 2", "answer": "4"}])
    with pytest.raises(UserError, match=r"dataset\.path=.*no field question .*fields found: answer, problem"):
        LocalDataset(path)
    assert LocalDataset(path, question_field="problem")[0].question == "2 + 2"
    with pytest.raises(UserError, match="the file is empty"):
        LocalDataset(write(tmp_path, [], "empty.jsonl"))


@pytest.mark.parametrize("name", ["missing.jsonl", "missing.parquet", "folder"])
def test_a_missing_file_is_refused(tmp_path, name):
    (tmp_path / "folder").mkdir()
    with pytest.raises(UserError, match=r"dataset\.path=.*no such file"):
        LocalDataset(tmp_path / name)


def test_other_kinds_of_files_are_refused(tmp_path):
    (tmp_path / "rows.csv").write_text("question,answer\n")
    (tmp_path / "rows.parquet").write_text("question,answer\n")
    with pytest.raises(UserError, match=r"ends in \.jsonl or \.parquet"):
        LocalDataset(tmp_path / "rows.csv")
    with pytest.raises(UserError, match="not a parquet file"):
        LocalDataset(tmp_path / "rows.parquet")


def test_pictures_are_found_beside_the_file_and_decoded_when_asked_for(tmp_path):
    (tmp_path / "pictures").mkdir()
    (tmp_path / "pictures" / "one.png").write_bytes(png())
    (tmp_path / "broken.png").write_text("not a picture")
    rows = [
        {"question": "Which colour?", "answer": "red", "image": "pictures/one.png"},
        {"question": f"a {IMAGE_MARKER} b {IMAGE_MARKER}", "answer": "red", "image": ["pictures/one.png"] * 2},
        {"question": "broken", "answer": "red", "image": "broken.png"},
        {"question": "text", "answer": "red", "image": ""},
    ]
    problems = LocalDataset(write(tmp_path, rows), answer_type="text")
    assert problems.bad_rows == []
    assert problems[0].question == f"{IMAGE_MARKER}Which colour?"
    assert problems[0].rendering == "image" and problems[3].rendering == "text_only"
    assert problems[0].images[0].mode == "RGB" and problems[0].images[0].getpixel((0, 0)) == (255, 0, 0)
    assert len(problems[1].images) == 2 and problems[1].question == rows[1]["question"]
    with pytest.raises(UserError, match=r"broken\.png: cannot be read as a picture"):
        problems[2]


def test_markers_and_pictures_must_agree(tmp_path):
    (tmp_path / "one.png").write_bytes(png())
    rows = [
        {"question": f"{IMAGE_MARKER}{IMAGE_MARKER}", "answer": "1", "image": "one.png"},
        {"question": "q", "answer": "1", "image": ["one.png", "one.png"]},
    ]
    problems = LocalDataset(write(tmp_path, rows))
    assert problems.bad_rows[0].reason == "2 <image> for 1 pictures"
    assert problems[0].question == f"{IMAGE_MARKER}{IMAGE_MARKER}q"


def test_transparency_is_laid_over_white_and_turned_photographs_stand_upright(tmp_path):
    (tmp_path / "clear.png").write_bytes(png((0, 0, 0, 0), mode="RGBA"))
    (tmp_path / "palette.png").write_bytes(png(mode="P", colour=0))
    turned = Image.Exif()
    turned[0x0112] = 6
    Image.new("RGB", (8, 6)).save(tmp_path / "turned.jpg", exif=turned)
    rows = [{"question": "q", "answer": "1", "image": name} for name in ("clear.png", "palette.png", "turned.jpg")]
    clear, palette, upright = (problem.images[0] for problem in LocalDataset(write(tmp_path, rows)))
    assert clear.getpixel((0, 0)) == (255, 255, 255)
    assert {image.mode for image in (clear, palette, upright)} == {"RGB"}
    assert upright.size == (6, 8)


def test_parquet_may_embed_its_pictures(tmp_path):
    rows = [
        {"question": "a map", "answer": "1", "image": {"bytes": png("red"), "path": None}},
        {"question": "also", "answer": "2", "image": {"bytes": png("blue"), "path": "x.png"}},
        {"question": "broken", "answer": "3", "image": {"bytes": b"nothing", "path": None}},
        {"question": "text", "answer": "4", "image": None},
        {"question": "nameless", "answer": None, "image": None},
    ]
    path = tmp_path / "problems.parquet"
    parquet.write_table(pyarrow.Table.from_pylist(rows), path)
    problems = LocalDataset(path)
    assert [problem.images[0].getpixel((0, 0)) for problem in (problems[0], problems[1])] == [
        (255, 0, 0),
        (0, 0, 255),
    ]
    assert problems[3].images == ()
    assert [(bad.line, bad.reason) for bad in problems.bad_rows] == [(5, "answer is null")]
    with pytest.raises(UserError, match="the picture in row 3 of"):
        problems[2]


def test_parquet_may_hold_bare_bytes_and_lists_of_pictures(tmp_path):
    parquet.write_table(
        pyarrow.Table.from_pylist([{"question": "q", "answer": "1", "image": png()}]), tmp_path / "bare.parquet"
    )
    parquet.write_table(
        pyarrow.Table.from_pylist([{"question": "q", "answer": "1", "images": [{"bytes": png(), "path": None}] * 2}]),
        tmp_path / "lists.parquet",
    )
    assert len(LocalDataset(tmp_path / "bare.parquet")[0].images) == 1
    assert len(LocalDataset(tmp_path / "lists.parquet", image_field="images")[0].images) == 2


def test_missing_numbers_in_a_parquet_column_are_bad_rows(tmp_path):
    rows = [{"question": "a", "answer": 1.5}, {"question": "b", "answer": float("nan")}]
    parquet.write_table(pyarrow.Table.from_pylist(rows), tmp_path / "n.parquet")
    problems = LocalDataset(tmp_path / "n.parquet")
    assert [problem.answer for problem in problems] == ["1.5"]
    assert problems.bad_rows[0].reason == "answer is null"


def test_the_answer_pattern_takes_its_last_match(tmp_path):
    rows = [
        {"question": "q", "answer": "2 #### not yet\n#### 1,018"},
        {"question": "q", "answer": "no mark"},
    ]
    problems = LocalDataset(write(tmp_path, rows), answer_pattern=r"####\s*(.+)")
    assert [problem.answer for problem in problems] == ["1,018"]
    assert problems.bad_rows[0].reason == "answer_pattern finds nothing"


@pytest.mark.parametrize("pattern", ["####(", "####", "(a)(b)"])
def test_an_answer_pattern_needs_one_group(tmp_path, pattern):
    path = write(tmp_path, [{"question": "q", "answer": "a"}])
    with pytest.raises(UserError, match=r"dataset\.answer_pattern="):
        LocalDataset(path, answer_pattern=pattern)


def test_an_unknown_answer_type_or_image_field_is_refused(tmp_path):
    path = write(tmp_path, [{"question": "q", "answer": "a"}])
    with pytest.raises(UserError, match=r"dataset\.answer_type=maths"):
        LocalDataset(path, answer_type="maths")
    with pytest.raises(UserError, match=r"dataset\.image_field=picture: no row has it"):
        LocalDataset(path, image_field="picture")


def test_the_rules_of_the_file_reach_its_problems_and_golds(tmp_path):
    rules = AnswerRules(relative_tolerance=0.01, percent="number")
    problems = LocalDataset(write(tmp_path, [{"question": "?", "answer": "5"}]), answer_type="number", rules=rules)
    assert problems[0].rules == problems.golds()[0].rules == rules


def test_choices_families_ids_and_inner_fields_are_taken_from_the_row(tmp_path):
    rows = [
        {"question": "q", "answer": "b", "options": ["a", 2], "kind": "easy", "uid": 7},
        {"question": "q", "answer": "b", "options": {"B": "y", "A": "x"}, "kind": None, "uid": 7},
        {"question": "q", "answer": "b", "inner": {"gold": "5"}},
    ]
    path = write(tmp_path, rows)
    problems = LocalDataset(path, choices_field="options", family_field="kind", id_field="uid", source="mine")
    assert [problem.choices for problem in problems] == [("a", "2"), ("x", "y"), ()]
    assert [problem.family for problem in problems] == ["easy", "", ""]
    assert [problem.id for problem in problems] == ["7", "7-line-2", "problems-3"]
    assert problems[0].source == "mine"
    assert LocalDataset(path, answer_field="inner.gold")[0].answer == "5"


def test_start_and_stop_part_the_usable_rows(tmp_path):
    rows = [{"question": str(n), "answer": "1"} for n in range(10)]
    path = write(tmp_path, ["oops", *rows])
    head, tail = LocalDataset(path, stop=3), LocalDataset(path, start=3)
    assert [problem.question for problem in head] == ["0", "1", "2"]
    assert [problem.question for problem in tail] == [str(n) for n in range(3, 10)]
    for bounds in ({"start": 10}, {"stop": 0}, {"start": -1}, {"stop": -2}):
        with pytest.raises(UserError, match="start="):
            LocalDataset(path, **bounds)


def test_a_slice_has_the_bad_rows_that_stand_in_it(tmp_path, caplog):
    rows = ["oops", {"question": "0", "answer": "1"}, "oops", {"question": "1", "answer": "1"}, "oops"]
    path = write(tmp_path, rows)
    with caplog.at_level(logging.WARNING):
        head, tail = LocalDataset(path, stop=1), LocalDataset(path, start=1)
    assert [bad.line for bad in head.bad_rows] == [1]
    assert [bad.line for bad in tail.bad_rows] == [3, 5]
    assert ["left out 2 rows" in message for message in caplog.messages] == [False, True]


def test_a_slice_that_leaves_nothing_names_the_settings(tmp_path):
    path = write(tmp_path, [{"question": "q", "answer": "1"}] * 12)
    with pytest.raises(UserError, match=r"dataset\.train_start=200.*12 usable.*lower dataset\.validation_size"):
        LocalDataset(path, start=200)
    with pytest.raises(UserError, match=r"benchmark\.start=200"):
        LocalDataset(path, start=200, group="benchmark")


def test_the_message_shows_the_path_of_a_missing_picture(tmp_path, caplog):
    rows = [{"question": "q", "answer": "1", "image": f"pictures/{name}.png"} for name in ("gone", "lost")]
    with caplog.at_level(logging.WARNING):
        problems = LocalDataset(write(tmp_path, [*rows, {"question": "q", "answer": "1"}]))
    assert f"picture file missing (2: line 1, 2), the first {tmp_path / 'pictures' / 'gone.png'}" in caplog.text
    assert [bad.detail for bad in problems.bad_rows] == [
        str(tmp_path / "pictures" / f"{n}.png") for n in ("gone", "lost")
    ]


def test_a_name_that_no_file_can_have_is_a_bad_row(tmp_path):
    rows = [{"question": "q", "answer": "1", "image": "x" * 5000}, {"question": "q", "answer": "1", "image": "a\x00b"}]
    problems = LocalDataset(write(tmp_path, [*rows, {"question": "q", "answer": "1"}]))
    assert [bad.reason for bad in problems.bad_rows] == ["picture file missing"] * 2
    assert len(problems.bad_rows[0].detail) < 400


def test_half_a_character_is_a_bad_row(tmp_path):
    rows = [
        {"question": "\ud83d", "answer": "1"},
        {"question": "q", "answer": "\ude00"},
        {"question": "q", "answer": "1", "options": ["a", "\ud83d"]},
        {"question": "\U0001f600", "answer": "1"},
    ]
    problems = LocalDataset(write(tmp_path, rows), choices_field="options")
    assert [bad.line for bad in problems.bad_rows] == [1, 2, 3]
    assert problems[0].question == "\U0001f600"


def test_an_outline_has_all_but_the_pictures_and_reads_no_more_than_their_headers(tmp_path):
    whole = png(size=(80, 60))
    (tmp_path / "cut.png").write_bytes(whole[: len(whole) // 2])
    (tmp_path / "none.png").write_bytes(b"")
    rows = [{"question": "q", "answer": "1", "image": name} for name in ("cut.png", "none.png")]
    problems = LocalDataset(write(tmp_path, rows))
    outline = problems.outline(0)
    assert outline.image_sizes == ((80, 60),)
    assert (outline.problem.question, outline.problem.images) == (f"{IMAGE_MARKER}q", ())
    with pytest.raises(BadRowError, match=r"cut\.png"):
        problems[0]
    with pytest.raises(BadRowError, match=r"none\.png"):
        problems.outline(1)


def test_what_a_row_is_called_for_its_order_does_not_depend_on_other_rows(tmp_path):
    (tmp_path / "one.png").write_bytes(png())
    rows = [{"question": f"{n}", "answer": "1", "image": "one.png"} for n in range(4)]
    (tmp_path / "moved").mkdir()
    (tmp_path / "moved" / "one.png").write_bytes(png())
    whole = LocalDataset(write(tmp_path, rows))
    without = LocalDataset(write(tmp_path / "moved", [rows[0], *rows[2:]]))
    assert len(set(whole.order_keys())) == 4
    assert without.order_keys() == [whole.order_keys()[place] for place in (0, 2, 3)]


def test_a_fingerprint_changes_with_what_a_row_says_and_not_with_a_mended_picture_or_a_bad_row(tmp_path):
    for name in ("one.png", "two.png"):
        (tmp_path / name).write_bytes(png())
    rows = [{"question": "q", "answer": "1", "image": "one.png"}]
    first = LocalDataset(write(tmp_path, rows)).fingerprint()
    (tmp_path / "one.png").write_bytes(png(size=(90, 60)))
    assert LocalDataset(write(tmp_path, ["oops", *rows])).fingerprint() == first
    for changed in ({"question": "other"}, {"answer": "2"}, {"image": "two.png"}, {"image": ["one.png", "one.png"]}):
        assert LocalDataset(write(tmp_path, [{**rows[0], **changed}])).fingerprint() != first


def test_a_data_set_can_be_sent_to_a_loader_process(tmp_path):
    problems = LocalDataset(write(tmp_path, [{"question": "q", "answer": "a"}, "oops"]))
    copy = pickle.loads(pickle.dumps(problems))
    assert copy[0] == problems[0] and copy.bad_rows == problems.bad_rows


def test_unicode_line_separators_do_not_split_rows_and_bytes_outside_utf8_are_bad(tmp_path):
    path = tmp_path / "problems.jsonl"
    separator = json.dumps({"question": "a\u2028b", "answer": "1"}, ensure_ascii=False).encode()
    path.write_bytes(b"\xef\xbb\xbf" + separator + b"\r\n\xff\xfe\n")
    problems = LocalDataset(path)
    assert problems[0].question == "a\u2028b"
    assert [(bad.line, bad.reason) for bad in problems.bad_rows] == [(2, "not UTF-8")]


def test_gsm8k_is_read_whole(shared_data):
    problems = LocalDataset(shared_data / "text" / "gsm8k" / "test.jsonl", answer_pattern=r"####\s*(.+)$")
    assert len(problems) == 1319 and problems.bad_rows == []
    assert problems[0].answer == "18"
    assert all("####" not in problem.answer for problem in problems)


def test_the_four_empty_golds_of_math_are_reported(shared_data):
    path = shared_data / "text" / "math" / "train_deepscaler.jsonl"
    problems = LocalDataset(path, question_field="problem")
    assert len(problems) == 7470
    assert [bad.line for bad in problems.bad_rows] == [887, 1010, 5329, 5331]


def test_easy_vqa_shows_its_pictures(shared_data):
    problems = LocalDataset(shared_data / "image" / "easy_vqa" / "test.jsonl", answer_type="text")
    assert len(problems) == 2429 and problems.bad_rows == []
    for index in range(0, len(problems), 400):
        assert problems[index].images[0].size == (64, 64)
        assert problems[index].question.startswith(IMAGE_MARKER)
    assert len({problem.id for problem in (problems[0], problems[1], problems[2])}) == 3


def test_every_picture_of_puzzlevqa_is_decoded_to_rgb(shared_data):
    path = shared_data / "image" / "puzzlevqa" / "subset.jsonl"
    problems = LocalDataset(path, choices_field="options", family_field="pattern", answer_type="choice")
    assert len(problems) == 500
    for index in range(0, 500, 23):
        problem = problems[index]
        assert problem.images[0].mode == "RGB" and problem.answer in problem.choices
    assert len({problems[index].family for index in range(0, 500, 25)}) == 20


def test_misnamed_and_animated_pictures_are_read(shared_data):
    path = shared_data / "image" / "theoremqa" / "visual_test.jsonl"
    problems = LocalDataset(path, question_field="Question", answer_field="Answer", image_field="Picture")
    assert all(problem.images[0].mode == "RGB" for problem in problems)


def test_nested_golds_of_a_parquet_file_are_read(shared_data):
    path = shared_data / "text" / "one_shot_rlvr" / "dsr_sub.parquet"
    problems = LocalDataset(path, question_field="ability", answer_field="reward_model.ground_truth")
    assert len(problems) == 1208 and len(problems.bad_rows) == 1


def test_a_parquet_file_that_is_damaged_within_is_refused_with_where(tmp_path):
    path = tmp_path / "rows.parquet"
    rows = [{"question": f"{number} is a question of its own", "answer": str(number)} for number in range(20_000)]
    parquet.write_table(pyarrow.Table.from_pylist(rows), path, row_group_size=5000)
    content = bytearray(path.read_bytes())
    middle = len(content) // 2
    content[middle : middle + 2000] = bytes(2000)
    path.write_bytes(content)
    with pytest.raises(UserError, match=r"dataset\.path=.*rows\.parquet: cannot be read after row \d{4,5} \("):
        LocalDataset(path)


def test_a_file_that_the_disk_does_not_give_is_refused(tmp_path):
    (tmp_path / "rows.jsonl").symlink_to("/proc/self/mem")
    with pytest.raises(UserError, match=r"rows\.jsonl: cannot be read after row 0 \(.*\); fetch it anew"):
        LocalDataset(tmp_path / "rows.jsonl")


def test_text_in_a_parquet_file_that_is_not_utf8_costs_its_own_row(tmp_path):
    column = pyarrow.array([b"good", b"\xff\xfe", b"good too"]).view(pyarrow.string())
    table = pyarrow.table({"question": column, "answer": ["1", "2", "3"]})
    parquet.write_table(table, tmp_path / "rows.parquet")
    problems = LocalDataset(tmp_path / "rows.parquet")
    assert [problem.question for problem in problems] == ["good", "good too"]
    assert [(bad.line, bad.reason) for bad in problems.bad_rows] == [(2, "not UTF-8")]

"""Breaks the verifier in many ways, one at a time, and sees a test fail for each: `make mutants`.

A guard that no test misses is a guard that somebody will remove. Each mutation is made in a copy of the tree and met by
the tests named beside it. Exit code 1 if one survives, or no longer finds its place.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import NamedTuple

REPOSITORY = Path(__file__).resolve().parents[2]
REWARDS = Path("src/lmm_r1/rewards")


class Mutation(NamedTuple):
    file: str
    """Below `REWARDS`."""
    snippet: str
    """What stands there; occurs exactly once."""
    replacement: str
    why: str
    """What the snippet is for, and is lost."""
    tests: str
    """Below `tests/rewards`: files or single tests, separated by spaces."""


POOL = "test_pool.py::"
HOSTILE = "test_hostile.py::"
CASES = "test_mathematics_cases.py::"
CHOICES = "test_choice_statement.py::"
NOTATION = "test_notation_cases.py::test_notation"
SETS = "test_real_sets.py::"
FORMS = "test_form_cases.py::"
FORMAT = "test_extract_and_format.py"

MUTATIONS = [
    # the pool
    Mutation(
        "worker.py",
        "with processor_limit(seconds):",
        "if True:",
        "an operation inside C ends with its processor time",
        POOL + "test_an_endless_computation_is_killed_and_the_pool_lives",
    ),
    Mutation(
        "worker.py",
        "    limit_memory(memory_gib)\n",
        "",
        "a worker's memory is bounded",
        POOL + "test_a_worker_out_of_memory_is_a_verdict_and_the_pool_lives "
        + POOL + "test_workers_that_cannot_start_raise",
    ),
    Mutation(
        "worker.py",
        "    if verdict.reason in _END:\n",
        "    if False:\n",
        "a worker that was interrupted is not used again",
        POOL + "test_an_interrupted_worker_is_not_used_again",
    ),
    Mutation(
        "worker.py",
        "signal.SIG_BLOCK, {signal.SIGINT, signal.SIGTERM}",
        "signal.SIG_BLOCK, {signal.SIGINT}",
        "a scheduler's SIGTERM does not take the workers from a step that finishes",
        POOL + "test_signals_to_the_whole_job_do_not_reach_the_workers",
    ),
    Mutation(
        "worker.py",
        'importlib.machinery.ModuleSpec("lmm_r1.__main__", loader=None)',
        "specification",
        "workers do not import the main script and what it imports",
        POOL + "test_a_hydra_script_with_torch_works_and_leaves_no_orphan",
    ),
    Mutation(
        "pool.py",
        'if verdict.reason in ("timeout", "killed"):\n            return',
        "if False:\n            return",
        "what depends on the machine is not remembered",
        POOL + "test_a_timeout_is_not_remembered",
    ),
    Mutation(
        "pool.py",
        "while len(self._cache) > self.cache_size:",
        "while False:",
        "the cache is bounded",
        POOL + "test_the_cache_is_bounded",
    ),
    Mutation(
        "pool.py",
        "distinct = list(dict.fromkeys(claims))",
        "distinct = list(claims)",
        "equal claims are judged once",
        POOL + "test_what_happened_is_counted",
    ),
    Mutation(
        "pool.py",
        "if expired.exitcode == -signal.SIGXCPU:",
        "if expired.exitcode == 0:",
        "a timeout is told from a death",
        POOL + "test_an_endless_computation_is_killed_and_the_pool_lives",
    ),
    Mutation(
        "pool.py",
        "                if last_attempt:\n                    raise\n",
        "                raise\n",
        "an idle worker that dies does not take the run down",
        POOL + "test_a_worker_that_dies_without_a_claim_is_replaced",
    ),
    Mutation(
        "pool.py",
        "            if not pool.active:\n",
        "            if False:\n",
        "nobody waits for a pool that was closed",
        POOL + "test_nobody_waits_for_an_answer_of_a_pool_that_was_closed",
    ),
    Mutation(
        "pool.py",
        "weakref.finalize(self, _stop, pool, os.getpid())",
        "lambda: _stop(pool, os.getpid())",
        "a pool that is dropped leaves no process",
        POOL + "test_a_pool_that_nobody_closed_leaves_no_process",
    ),
    Mutation(
        "pool.py",
        "return [verdicts[claim] for claim in claims]",
        "return [verdicts[claim] for claim in distinct]",
        "verdicts are in the order of the claims",
        POOL + "test_equal_claims_are_judged_once_and_remembered",
    ),
    # before the workers
    Mutation(
        "verify.py",
        "if len(claim.answer) > LONGEST_ANSWER:",
        "if False:",
        "what comes before the workers is bounded",
        HOSTILE + "test_the_quick_verdict_is_quick_on_everything",
    ),
    Mutation(
        "extract.py",
        r'r"<\s*(?:/\s*)?answer\b',
        r'r"<\s*/?\s*answer\b',
        "a tag is found in linear time",
        HOSTILE + "test_no_expression_takes_more_than_linear_time_on_a_response",
    ),
    Mutation(
        "limits.py",
        "signal.setitimer(signal.ITIMER_PROF, seconds, 0.5)",
        "pass",
        "algebra in this process has a time limit",
        "test_verify.py::test_reasons",
    ),
    Mutation(
        "verify.py",
        "    except MemoryError:\n",
        "    except ZeroDivisionError:\n",
        "running out of memory is a verdict",
        POOL + "test_running_out_of_memory_in_this_process_is_a_verdict",
    ),
    # which answer counts
    Mutation(
        "extract.py",
        "text[tags[0].end() : tags[1].start()]",
        "text[tags[1].end() :]",
        "the answer stands between its tags",
        FORMAT,
    ),
    # the format
    Mutation(
        "format.py",
        "not in _PLACEHOLDERS",
        "is not None",
        "the prompt's own placeholder is no answer",
        FORMAT,
    ),
    Mutation(
        "format.py",
        "len(answer) > LONGEST_ANSWER or ",
        "",
        "a list of every number is no answer",
        FORMAT,
    ),
    Mutation(
        "format.py",
        " or len(boxed_contents(answer)) > 1",
        "",
        "two boxes are no answer",
        FORMAT,
    ),
    # what the reward adds up
    Mutation(
        "compose.py",
        "self.weights[name] * value",
        "value",
        "terms are weighted",
        "test_compose.py::test_each_term_is_reported_before_its_weight",
    ),
    # the judges
    Mutation(
        "answers/choice.py",
        "    if index >= count:\n        return None\n",
        "",
        "letters are limited to the options",
        "test_verify.py::test_choice",
    ),
    Mutation(
        "answers/choice.py",
        "    if _HEDGE.match(behind):\n        return None\n",
        "",
        "a letter that is taken back is none",
        CHOICES + "test_a_letter_is_taken_where_the_text_says_that_it_is_the_answer",
    ),
    Mutation(
        "answers/choice.py",
        "return index if index in named else None",
        "return index",
        "a letter with another option's text is none",
        CHOICES + "test_a_letter_is_taken_where_the_text_says_that_it_is_the_answer",
    ),
    Mutation(
        "answers/choice.py",
        "if announced and _NEXT_SENTENCE",
        "if _NEXT_SENTENCE",
        "what nothing announces is read to its end",
        CHOICES + "test_a_letter_is_taken_where_the_text_says_that_it_is_the_answer",
    ),
    Mutation(
        "answers/choice_statement.py",
        "return max(found)",
        "return min(found)",
        "the last announcement counts",
        CHOICES + "test_a_letter_is_taken_where_the_text_says_that_it_is_the_answer",
    ),
    Mutation(
        "answers/choice_statement.py",
        "len(marked) < 2 or ",
        "True or ",
        "marks in front of several letters are headings",
        CHOICES + "test_a_letter_is_taken_where_the_text_says_that_it_is_the_answer",
    ),
    Mutation(
        "answers/choice_statement.py",
        'and letter["letter"].isupper()',
        "",
        "an article is no letter",
        CHOICES + "test_a_letter_is_taken_where_the_text_says_that_it_is_the_answer",
    ),
    Mutation(
        "answers/announcement.py",
        "\\s{_IS}{_JUDGED}",
        "\\s{_IS}",
        "what judges an answer states none",
        CHOICES + "test_a_letter_is_taken_where_the_text_says_that_it_is_the_answer",
    ),
    Mutation(
        "answers/choice_statement.py",
        "if _LETTER_ALONE.fullmatch(last) and before",
        "if _LETTER_ALONE.fullmatch(last) or before",
        "the last line counts where it is a letter",
        CHOICES + "test_a_letter_is_taken_where_the_text_says_that_it_is_the_answer",
    ),
    Mutation(
        "verify.py",
        'kind = "choice" if answer_type == "math" and choice_letter(gold) else answer_type',
        "kind = answer_type",
        "a variable of a formula is no letter",
        CHOICES + "test_mathematics_whose_gold_is_a_letter_reads_it_alike",
    ),
    # which answer counts, and the format
    Mutation(
        "extract.py",
        "if tags is None or tuple(tag.group().lower() for tag in tags) != _EXACT_TAGS:",
        "if not tags:",
        "two answers are none",
        FORMAT,
    ),
    Mutation(
        "tags.py",
        "    if plain is not text and len(_named(_WRITTEN, plain, names)) != len(written):\n        return None\n",
        "",
        "a disguised tag spoils the answer",
        FORMAT,
    ),
    Mutation(
        "tags.py",
        "return written if len(_named(_SQUEEZED, squeezed, names)) <= len(exact) else None",
        "return written",
        "a tag torn apart spoils the answer",
        FORMAT,
    ),
    Mutation(
        "format.py",
        "if tags is None or [tag.group().lower() for tag in tags] != _TAGS_IN_ORDER:",
        "if tags is None:",
        "each tag once, and in order",
        FORMAT,
    ),
    Mutation(
        "format.py",
        "tags = None if truncated else honest_tags",
        "tags = honest_tags",
        "a truncated response keeps no format",
        FORMAT,
    ),
    Mutation(
        "format.py",
        'len(set("".join(words))) > 1 and (len(words) == 1 or len(set(words)) > 1)',
        "True",
        "one word over and over is no thinking",
        FORMAT,
    ),
    Mutation(
        "tags.py",
        "return None if depth else end",
        "return end",
        "a thinking that is cut off leaves no answer",
        CASES + "test_verdict",
    ),
    Mutation(
        "tags.py",
        "depth, end = max(depth - 1, 0), tag.end()",
        "depth = max(depth - 1, 0)",
        "only what follows the thinking counts",
        CASES + "test_verdict",
    ),
    Mutation(
        "tags.py",
        "            depth += 1\n        elif",
        "            depth = 1\n        elif",
        "a thinking inside a thinking must be closed too",
        CASES + "test_verdict",
    ),
    Mutation(
        "extract.py",
        " or tags[0].start() < start:",
        ":",
        "an answer inside the thinking is none",
        FORMAT,
    ),
    Mutation(
        "answers/statement.py",
        "if not said or _HEADING.match(said):",
        "if not said:",
        "a heading is no mark",
        CASES + "test_verdict",
    ),
    Mutation(
        "answers/statement.py",
        "one.is_final and one.start > boxes[-1].end",
        "False",
        "what a mark says after a box counts",
        CASES + "test_verdict",
    ),
    Mutation(
        "answers/statement.py",
        "return sorted(found, reverse=True)",
        "return sorted(found)",
        "the last of announcements and marks counts",
        CASES + "test_verdict",
    ),
    Mutation(
        "answers/statement.py",
        "(one for one in said if _states_something(one))",
        "iter(said)",
        "a remark on the answer is none",
        CASES + "test_verdict",
    ),
    Mutation(
        "answers/statement.py",
        " or _WITHOUT_VALUE.search(said)",
        "",
        "an answer can be taken back",
        CASES + "test_verdict",
    ),
    Mutation(
        "answers/statement.py",
        "    if _NO_STATEMENT.search(masked):\n        return None\n",
        "",
        "a question states nothing",
        CASES + "test_verdict",
    ),
    Mutation(
        "answers/spans.py",
        "[.?!](?!\\s+[A-Z][a-z])",
        "[.?!]",
        "a dollar sign in front of an amount opens no formula",
        CASES + "test_verdict",
    ),
    Mutation(
        "answers/statement.py",
        "|except|excluding|cannot",
        "|cannot",
        "what is left out is no value",
        CASES + "test_verdict",
    ),
    Mutation(
        "answers/statement.py",
        "text if len(text) <= _LONGEST else last_sentence(text)",
        "text",
        "the sentence before a long remark is read",
        FORMAT,
    ),
    # sets of real numbers
    Mutation(
        "answers/real_sets.py",
        "return left.high_closed or right.low_closed if",
        "return True if",
        "a union that leaves out a point does not close up",
        SETS + "test_a_set_is_the_same_however_it_is_written",
    ),
    Mutation(
        "answers/real_sets.py",
        "return piece.low_closed and piece.high_closed if",
        "return True if",
        "an open interval of no length is empty",
        "test_real_sets.py::test_in_order_the_set_is_the_same_and_its_parts_lie_apart",
    ),
    Mutation(
        "answers/conditions.py",
        "if comma and not pieces",
        "if not pieces",
        '"and" is not "or"',
        SETS + "test_a_set_is_the_same_however_it_is_written",
    ),
    Mutation(
        "answers/conditions.py",
        "    if len(names) > 1:\n",
        "    if False:\n",
        "a condition has one variable",
        SETS + "test_a_set_is_the_same_however_it_is_written",
    ),
    Mutation(
        "answers/conditions.py",
        '["=" in relation or relation[2:3] == "e" for relation in relations]',
        "[True for relation in relations]",
        "an end that is left out is open",
        SETS + "test_a_set_is_the_same_however_it_is_written",
    ),
    Mutation(
        "answers/conditions.py",
        "    if turned_round(interval):\n        raise _NoSetError\n",
        "",
        "an interval that ends before it begins is none",
        SETS + "test_a_set_is_the_same_however_it_is_written",
    ),
    Mutation(
        "answers/mathematics.py",
        "if expected.name and given.name and expected.name != given.name:",
        "if False:",
        "another variable's inequality is another answer",
        SETS + "test_a_set_is_the_same_however_it_is_written",
    ),
    Mutation(
        "answers/guards.py",
        "return _PAIR.fullmatch(given) is not None and not _COLLECTION.search(expected)",
        "return False",
        "an interval of one point is no value",
        SETS + "test_a_set_is_the_same_however_it_is_written",
    ),
    # forms of an answer
    Mutation(
        "answers/vectors.py",
        '({"column", "row"}, {"transposed", "row"}, {"plain unit", "tuple"})',
        "()",
        "a column is no row",
        FORMS + "test_an_answer_may_have_another_form_but_no_other_meaning",
    ),
    Mutation(
        "answers/vectors.py",
        'return None if any("&" in row for row in rows) else Vector',
        "return Vector",
        "a matrix is no vector",
        FORMS + "test_an_answer_may_have_another_form_but_no_other_meaning",
    ),
    Mutation(
        "answers/vectors.py",
        "and not {0, 1} <= set(places)",
        "and False",
        "i alone is a complex number",
        FORMS + "test_an_answer_may_have_another_form_but_no_other_meaning",
    ),
    Mutation(
        "answers/vectors.py",
        "all(map(same, first, second))",
        "True",
        "vectors have the same elements",
        FORMS + "test_an_answer_may_have_another_form_but_no_other_meaning",
    ),
    Mutation(
        "answers/sequences.py",
        '    if gold.opening and answer.opening and gold.opening != answer.opening:\n        return "wrong"\n',
        "",
        "a set with dots is no tuple",
        FORMS + "test_an_answer_may_have_another_form_but_no_other_meaning",
    ),
    Mutation(
        "answers/sequences.py",
        'return "ok" if _unspaced(expected) == _unspaced(given) else "wrong"',
        "return None",
        "dots are not left to algebra",
        FORMS + "test_an_answer_may_have_another_form_but_no_other_meaning",
    ),
    Mutation(
        "answers/sequences.py",
        "    if len(shorter) < 3 or 0 in longer:\n",
        "    if 0 in longer:\n",
        "two terms make no geometric progression",
        FORMS + "test_an_answer_may_have_another_form_but_no_other_meaning",
    ),
    Mutation(
        "answers/sequences.py",
        "len(shorter) > 1 and len(steps) == 1",
        "len(shorter) > 1",
        "dots hide the terms that the shown ones make plain",
        FORMS + "test_an_answer_may_have_another_form_but_no_other_meaning",
    ),
    Mutation(
        "answers/sequences.py",
        "return _written_out(*hidden) == _numbers(shown) is not None",
        "return _written_out(*hidden) is not None",
        "what is written out is the sequence",
        FORMS + "test_an_answer_may_have_another_form_but_no_other_meaning",
    ),
    Mutation(
        "answers/remarks.py",
        'return None if remark is None or _may_be_left_out(remark, body, answer[0]) else "wrong"',
        "return None",
        "a remark that selects may not be left out",
        FORMS + "test_an_answer_may_have_another_form_but_no_other_meaning",
    ),
    Mutation(
        "answers/remarks.py",
        "and not any(map(means_a_set, bodies))",
        "and True",
        "the integers above 2 are not all numbers above 2",
        FORMS + "test_an_answer_may_have_another_form_but_no_other_meaning",
    ),
    Mutation(
        "answers/remarks.py",
        'return None if len(kinds) == 1 or kinds <= _FREE or (kinds <= _PLAIN and "any" in kinds) else "wrong"',
        "return None",
        "two remarks restrict alike",
        FORMS + "test_an_answer_may_have_another_form_but_no_other_meaning",
    ),
    Mutation(
        "answers/remarks.py",
        "    if not _equal(abs(step), abs(other_step)):\n        return False\n",
        "",
        "multiples of 6 are not those of 3",
        FORMS + "test_an_answer_may_have_another_form_but_no_other_meaning",
    ),
    Mutation(
        "answers/remarks.py",
        "return shift.denominator == 1 if",
        "return True if",
        "a shift by a part of the step is another set",
        FORMS + "test_an_answer_may_have_another_form_but_no_other_meaning",
    ),
    Mutation(
        "answers/remarks.py",
        "(step, values[3]) if step and steps_alike",
        "(step, values[3]) if step",
        "squares are no multiples",
        FORMS + "test_an_answer_may_have_another_form_but_no_other_meaning",
    ),
    Mutation(
        "answers/remarks.py",
        "text if old == new or _letter(new).search(text) else",
        "text if old == new else",
        "a letter that is taken is given to no other",
        FORMS + "test_an_answer_may_have_another_form_but_no_other_meaning",
    ),
    Mutation(
        "answers/statement.py",
        'return _statement(body) if remark.is_free else f"{_statement(body)} {remark.words}"',
        "return _statement(body)",
        "what restricts a box behind it counts",
        FORMS + "test_a_remark_is_read_in_a_response_too",
    ),
    # before the parser
    Mutation(
        "answers/mathematics.py",
        '    if len(answer) > LONGEST_RESPONSE:\n        return "unparsable"\n',
        "",
        "what is too long is not even unwrapped",
        CASES + "test_what_is_longer_than_a_response_is_no_answer",
    ),
    Mutation(
        "answers/markup.py",
        "for _ in range(_MOST_WRAPPERS):",
        "while True:",
        "boxes in boxes are not unwrapped without end",
        CASES + "test_a_text_wrapped_very_often_is_left_as_it_is",
    ),
    Mutation(
        "answers/guards.py",
        " or _nesting(text) > DEEPEST_NESTING",
        "",
        "deep brackets are not parsed",
        CASES + "test_a_hopeless_expression_is_not_parsed",
    ),
    Mutation(
        "answers/growth.py",
        '        self.depth -= 1\n',
        '',
        'deep is what is within, not what came before',
        CASES + "test_what_ends_is_parsed",
    ),
    Mutation(
        "answers/growth.py",
        'self.everything(_CLOSING[token])',
        'Size(value=1.0)',
        'brackets of every kind are looked into',
        CASES + "test_a_hopeless_expression_is_not_parsed",
    ),
    Mutation(
        "answers/growth.py",
        'if height > HIGHEST_POWERS_OF_LETTERS or grows:',
        'if grows:',
        'letters in exponents of exponents are not worked out',
        CASES + "test_a_hopeless_expression_is_not_parsed",
    ),
    Mutation(
        "answers/growth.py",
        'if height > HIGHEST_POWERS_OF_LETTERS or grows:',
        'if height > HIGHEST_POWERS_OF_LETTERS:',
        'a huge number in an exponent with a letter is not worked out',
        CASES + "test_a_hopeless_expression_is_not_parsed",
    ),
    Mutation(
        "answers/growth.py",
        'if radicand.digits > MOST_DIGITS_UNDER_A_ROOT:',
        'if False:',
        'no factors of huge numbers are looked for',
        CASES + "test_a_hopeless_expression_is_not_parsed",
    ),
    Mutation(
        "answers/growth.py",
        'if first is not None and last is not None and not last - first < MOST_SUMMANDS:',
        'if False:',
        'no ten thousand terms are added',
        CASES + "test_a_hopeless_expression_is_not_parsed",
    ),
    Mutation(
        "answers/growth.py",
        'return self.power(size, self.exponent(), start)',
        'return size',
        'powers without braces go on',
        CASES + "test_a_hopeless_expression_is_not_parsed",
    ),
    Mutation(
        "answers/size.py",
        'digits = base.digits * max(count, 1.0)',
        'digits = base.digits',
        'towers of powers are not evaluated',
        CASES + "test_a_hopeless_expression_is_not_parsed",
    ),
    Mutation(
        "answers/size.py",
        'digits = math.lgamma(size.value + 1) / math.log(10) if size.value < MOST_DIGITS else math.inf',
        'digits = 1.0',
        'huge factorials are not evaluated',
        CASES + "test_a_hopeless_expression_is_not_parsed",
    ),
    Mutation(
        "answers/size.py",
        '    digits = chosen * math.log10(max(upper.value, 1.0)) if chosen < MOST_DIGITS else math.inf\n',
        '    digits = 1.0\n',
        'huge binomials are not evaluated',
        CASES + "test_a_hopeless_expression_is_not_parsed",
    ),
    Mutation(
        "answers/size.py",
        '    if power > most or math.comb(power + int(terms) - 1, power) > most:\n        raise TooLargeError\n',
        '',
        'powers of sums are not expanded without end',
        CASES + "test_a_hopeless_expression_is_not_parsed",
    ),
    Mutation(
        "answers/size.py",
        'MOST_TERMS_OF_FUNCTIONS if base.functions else ',
        '',
        'powers of sums of functions are dearer',
        CASES + "test_a_hopeless_expression_is_not_parsed",
    ),
    Mutation(
        "answers/size.py",
        'MOST_TERMS_OF_NUMBERS if numbers else MOST_TERMS\n    if power',
        'MOST_TERMS\n    if power',
        'powers of sums of numbers are cheaper',
        CASES + "test_what_ends_is_parsed",
    ),
    Mutation(
        "answers/size.py",
        'letter.startswith("function") for letter in letters) > MOST',
        'False for letter in letters) > MOST',
        'long products of functions are not rewritten',
        CASES + "test_a_hopeless_expression_is_not_parsed",
    ),
    Mutation(
        "answers/size.py",
        'or (quotient and (size.terms + size.below) * len(size.letters) > MOST_OF_A_QUOTIENT)',
        '',
        'fractions of many letters are not added',
        CASES + "test_a_hopeless_expression_is_not_parsed",
    ),
    Mutation(
        "answers/size.py",
        'or (quotient and size.degree > HIGHEST_DEGREE_OF_A_QUOTIENT)',
        '',
        'no long divisions',
        CASES + "test_a_hopeless_expression_is_not_parsed",
    ),
    Mutation(
        "answers/guards.py",
        '_EXPONENT.search(text) is not None or',
        '',
        'no decimal has a hundred thousand digits',
        CASES + "test_a_hopeless_expression_is_not_parsed",
    ),
    Mutation(
        "answers/guards.py",
        'return _OPERATION.search(given) is not None and',
        'return False and',
        'an integral is no value',
        NOTATION,
    ),
    Mutation(
        "answers/bases.py",
        '    return _CANONICAL.sub(_symbol, text) if "_{" in text else text\n',
        '    return text\n',
        'the base is part of a number',
        NOTATION,
    ),
    Mutation(
        "answers/bases.py",
        'return digits if base == "10" else',
        'return digits if base == "99" else',
        'base ten may be left out',
        NOTATION,
    ),
    Mutation(
        "answers/bases.py",
        'if not _is_numeral(number["digits"], number["base"]):',
        "if False:",
        'twice A_1 is no numeral',
        NOTATION,
    ),
    Mutation(
        "answers/bases.py",
        'text = _LITERAL.sub(',
        'text = re.compile("(?!)").sub(',
        '0x1F is no product',
        NOTATION,
    ),
    Mutation(
        "answers/tolerance.py",
        'expected.base != given.base or',
        '',
        'a number in another base is another number',
        NOTATION,
    ),
    Mutation(
        "answers/mixed.py",
        'if 0 < numerator < denominator:',
        'if True:',
        'an improper fraction is a factor',
        NOTATION,
    ),
    Mutation(
        "answers/mixed.py",
        '(?<![0-9.]\\s)',
        '',
        'loose numbers before a fraction are no mixed number',
        NOTATION,
    ),
    Mutation(
        "answers/notation.py",
        'if text.isascii():\n        return text',
        'if True:\n        return text',
        'powers of Unicode are powers',
        NOTATION,
    ),
    Mutation(
        "answers/notation.py",
        '    text = _WRITTEN_FRACTION.sub(_fraction, text)\n',
        '',
        'fractions in one character are fractions',
        NOTATION,
    ),
    Mutation(
        "answers/characters.py",
        'table | dict.fromkeys(map(ord, _DASHES), "-")',
        'table',
        'a dash is a minus sign',
        NOTATION,
    ),
    Mutation(
        "answers/words.py",
        '        text = re.sub(r"(?<=[0-9])[^\\x00-\\x7f]", _apart, text)\n',
        '        pass\n',
        '5² is not 52',
        NOTATION,
    ),
    Mutation(
        "answers/count.py",
        ' or unicodedata.category(character) in ("No", "Nl")',
        '',
        'five and a half is no count',
        NOTATION,
    ),
    Mutation(
        "answers/cleaning.py",
        '    text = _JUXTAPOSED.sub(lambda factor: factor[0].rstrip() + r"\\cdot ", text)\n',
        '',
        '2(3) is a product',
        NOTATION,
    ),
    Mutation(
        "answers/cleaning.py",
        '    text = _with_primes(text)\n',
        '',
        'a derivative is another function',
        NOTATION,
    ),
    Mutation(
        "answers/cleaning.py",
        '    text = _MINUTES.sub(_as_degrees, text)\n',
        '',
        'minutes are parts of a degree',
        NOTATION,
    ),
    Mutation(
        "answers/mathematics.py",
        'for log in (r"\\log", r"\\ln")]',
        'for log in (r"\\log",)]',
        'log may be the natural logarithm',
        NOTATION,
    ),
    Mutation(
        "answers/mathematics.py",
        '    if not same_unit(one.currency, other.currency):\n        return False\n',
        '',
        'euros are not dollars',
        NOTATION,
    ),
    Mutation(
        "answers/mathematics.py",
        '    if not is_weight(expected):\n',
        '    if True:\n',
        'the m of mg is a mass',
        NOTATION,
    ),
    Mutation(
        "answers/amounts.py",
        '    return _SCALED.sub(_multiplied, text)\n',
        '    return text\n',
        'ten million is a number',
        NOTATION,
    ),
    Mutation(
        "answers/units.py",
        're.search(r"[A-Za-z\\\\{}()]", value) is None',
        'True',
        'the m of 2\\pi m is a variable',
        NOTATION,
    ),
    Mutation(
        "answers/imaginary.py",
        'meant = _is_linear(expected)',
        'meant = True',
        'a power of i in the gold is one of a variable',
        NOTATION,
    ),
    Mutation(
        "answers/imaginary.py",
        '"I" in text or _INDEX.search(text)',
        '"I" in text',
        'an index is not the imaginary unit',
        NOTATION,
    ),
    Mutation(
        "answers/real_values.py",
        'return size if positive else size * generator.choice((-1, 1))',
        'return size',
        'x is not the root of its square',
        NOTATION,
    ),
    Mutation(
        "answers/real_values.py",
        '        if abs(first - second) > _RELATIVE_ERROR * max(abs(first), abs(second)):\n            return False\n',
        '',
        'values must agree',
        NOTATION,
    ),
    Mutation(
        "answers/real_values.py",
        '            if strict and first is not second:\n                return False\n',
        '',
        'a logarithm keeps its domain',
        NOTATION,
    ),
    Mutation(
        "answers/real_values.py",
        '_RELATIVE_ERROR = 1e-40',
        '_RELATIVE_ERROR = 1e-10',
        'near is not equal',
        NOTATION,
    ),
    Mutation(
        "answers/equality.py",
        'if "answer" in text.lower():',
        'if False:',
        'no fraction is picked out of words',
        "test_notation_cases.py::test_no_fraction_is_picked_out_of_words",
    ),
    # mathematics: form
    Mutation(
        "answers/guards.py",
        "commas(expected) == 0 < commas(given) and",
        "False and",
        "a list is no value",
        CASES + "test_verdict",
    ),
    Mutation(
        "answers/guards.py",
        "bool(_TWO_NUMBERS.search(given)) and",
        "False and",
        "numbers side by side are not joined",
        CASES + "test_verdict",
    ),
    Mutation(
        "answers/guards.py",
        "return len(kinds) == 2",
        "return False",
        "a set is no tuple",
        CASES + "test_verdict",
    ),
    Mutation(
        "answers/guards.py",
        "places[0].groups() != places[1].groups()",
        "False",
        "a function has its value at one place",
        CASES + "test_verdict",
    ),
    # mathematics: equality
    Mutation(
        "answers/equality.py",
        "return verify(gold, answer, timeout_seconds=None) and _close(gold[0], answer[0])",
        "return verify(gold, answer, timeout_seconds=None)",
        "small numbers that round to the same are not the same",
        CASES + "test_verdict",
    ),
    Mutation(
        "answers/equality.py",
        "verify(gold, answer, timeout_seconds=None)",
        "verify(answer, gold, timeout_seconds=None)",
        "the gold comes first: the order matters for relations",
        CASES + "test_verdict",
    ),
    Mutation(
        "answers/equality.py",
        "return [side for side in left if not _NAME.fullmatch(side) and not _LETTERS.search(side)] + [last]",
        "return [last]",
        "every side of a chain of equations counts",
        CASES + "test_verdict",
    ),
    Mutation(
        "answers/equality.py",
        "return None if None in values else",
        "return",
        "each item of a list is a value",
        CASES + "test_verdict",
    ),
    Mutation(
        "answers/equality.py",
        "units=False",
        "units=True",
        "math_verify drops no unit unlooked at",
        CASES + "test_verdict",
    ),
    Mutation(
        "answers/equality.py",
        "        return all(_close(one, other) for one, other in zip(expected, given, strict=True))",
        "        return True",
        "small entries of a matrix that round to the same are not the same",
        CASES + "test_verdict",
    ),
    Mutation(
        "answers/equality.py",
        "            return all(_close(one, other) for one, other in pairs)",
        "            return True",
        "small elements that round to the same are not the same",
        CASES + "test_verdict",
    ),
    # mathematics: units and percent
    Mutation(
        "answers/units.py",
        "return not expected or not given or expected == given",
        "return True",
        "centimetres are not kilometres",
        CASES + "test_verdict",
    ),
    Mutation(
        "answers/units.py",
        "** expected_power",
        "",
        "areas do not scale as lengths",
        CASES + "test_verdict",
    ),
    Mutation(
        "answers/units.py",
        '(len(bare["text"]) > 1 or _stands_apart(bare)) and',
        "",
        "the m of 3m is a variable",
        CASES + "test_verdict",
    ),
    Mutation(
        "answers/units.py",
        'dimension = {"sq": "2", "cu": "3"}.get(words[0]) if len(words) > 1 else None',
        "dimension = None",
        "square metres are written in two ways",
        CASES + "test_verdict",
    ),
    Mutation(
        "answers/mathematics.py",
        "    expected, given = _without_degrees(expected, given)\n",
        "",
        "a degree sign is no power",
        CASES + "test_verdict",
    ),
    Mutation(
        "answers/mathematics.py",
        r'if expected_sign and not given_sign and r"\pi" in given:',
        "if False:",
        "degrees are not radians",
        CASES + "test_verdict",
    ),
    Mutation(
        "answers/mathematics.py",
        'percentage == value and (percent == "number" or abs(value) > 1)',
        "percentage == value",
        "0.5 % is not 0.5",
        CASES + "test_percent_follows_the_convention",
    ),
    Mutation(
        "answers/mathematics.py",
        "as_fraction = percentage == 100 * value",
        "as_fraction = percentage == value",
        "50 % is 0.5",
        CASES + "test_percent_follows_the_convention",
    ),
    # mathematics: reading
    Mutation(
        "answers/cleaning.py",
        "    text = _REPEATING.sub(_as_fraction, text)\n",
        "",
        "0.333… is a third",
        CASES + "test_verdict",
    ),
    Mutation(
        "answers/mixed.py",
        "whole * denominator + numerator",
        "numerator",
        "a mixed number keeps its whole part",
        CASES + "test_verdict",
    ),
    Mutation(
        "answers/cleaning.py",
        '    text = _CONNECTIVE.sub(", ", text)\n',
        "",
        "2 or 3 is a list",
        CASES + "test_verdict",
    ),
    Mutation(
        "answers/cleaning.py",
        "_before_approximation(text).strip())",
        "text.strip())",
        "an approximation adds nothing",
        CASES + "test_verdict",
    ),
    Mutation(
        "answers/cleaning.py",
        'return _LEADING_EQUALS.sub("", ',
        "return str(",
        "an equals sign before a value adds nothing",
        CASES + "test_verdict",
    ),
    Mutation(
        "answers/cleaning.py",
        '    text = _CONSTANT.sub(r"\\1=", text)\n',
        "",
        "the argument of a constant has any name",
        CASES + "test_verdict",
    ),
    Mutation(
        "answers/statement.py",
        "    if _BROKEN_INLINE.search(text):\n        return None\n",
        "",
        "a broken formula states nothing",
        CASES + "test_verdict",
    ),
    Mutation(
        "answers/statement.py",
        "    return not _CHANGES_THE_VALUE.search(neighbours)",
        "    return True",
        "5 million is not 5",
        CASES + "test_verdict",
    ),
    Mutation(
        "answers/statement.py",
        '    if re.search(r"[0-9]|%", behind):\n        return False\n',
        "",
        "a later number takes a formula's place",
        CASES + "test_verdict",
    ),
    Mutation(
        "answers/spans.py",
        "    if _SENTENCE_END.search(text, start, end):\n        return False\n",
        "",
        "boxes of two sentences are no list",
        CASES + "test_verdict",
    ),
    Mutation(
        "answers/statement.py",
        'or _CHANGES_THE_VALUE.search(before + " " + behind):',
        "or False:",
        "not 5 is not 5",
        CASES + "test_verdict",
    ),
    Mutation(
        "answers/mathematics.py",
        'return "ok" if letter == stated_letter(answer) else "wrong"',
        'return "ok" if letter in answer else "wrong"',
        "a letter somewhere picks nothing",
        CASES + "test_verdict",
    ),
    Mutation(
        "answers/choice.py",
        ' and not _LONE_CAPITAL.search(label["text"])',
        "",
        "a label with another letter behind it picks nothing",
        CHOICES + "test_a_letter_is_taken_where_the_text_says_that_it_is_the_answer",
    ),
    # the other types
    Mutation(
        "answers/words.py",
        "if first is None or _HEDGE.search(text, first.end(1)):",
        "if first is None:",
        "yes and no is neither",
        "test_verify.py::test_yes_no",
    ),
    Mutation(
        "answers/count.py",
        "    if _CHANGES_THE_COUNT.search(text):\n        return None\n",
        "",
        "about seven is no count",
        "test_answer_types.py::test_count",
    ),
    Mutation(
        "answers/count.py",
        "counts.pop() if len(counts) == 1 else None",
        "min(counts, default=None)",
        "two numbers are no count",
        "test_answer_types.py::test_count",
    ),
    Mutation(
        "answers/relaxed.py",
        "tolerance = 0.0 if _YEAR.fullmatch(gold) else",
        "tolerance =",
        "a year has no tolerance",
        "test_answer_types.py::test_relaxed",
    ),
    Mutation(
        "answers/free_text.py",
        "    if _NUMBER.findall(gold) != _NUMBER.findall(answer):\n        return 0.0\n",
        "",
        "1998 is not nearly 1999",
        "test_answer_types.py::test_anls",
    ),
    Mutation(
        "answers/free_text.py",
        "return similarity if similarity >= _THRESHOLD else 0.0",
        "return similarity",
        "what differs by more than a half earns nothing",
        "test_answer_types.py::test_anls_is_graded_above_one_half_and_nothing_below",
    ),
    Mutation(
        "answers/collection.py",
        "lambda: len(expected) == len(given) and all(map(_same(claim), expected, given)),",
        "lambda: matched(expected, given, _same(claim)),",
        "the order of a tuple counts",
        "test_answer_types.py::test_tuple",
    ),
    Mutation(
        "answers/brackets.py",
        "    if len(first) != len(second):\n        return False\n",
        "",
        "a set has no more elements than the gold",
        "test_answer_types.py::test_set",
    ),
    Mutation(
        "answers/real_sets.py",
        "gold[2:] == answer[2:] and",
        "",
        "an open end is not closed",
        "test_answer_types.py::test_interval",
    ),
    Mutation(
        "answers/box.py",
        "right = len(golds) == len(boxes) and",
        "right =",
        "every box is found once",
        "test_answer_types.py::test_boxes",
    ),
    Mutation(
        "answers/box.py",
        "/ max(len(golds), len(boxes))",
        "/ len(golds)",
        "an extra box costs",
        "test_answer_types.py::test_boxes",
    ),
    Mutation(
        "answers/actions.py",
        "return plan if set(plan) <= set(simulator.actions) else None",
        "return plan",
        "an unknown action spoils the plan",
        "test_answer_types.py::test_actions_are_judged_by_playing_them",
    ),
    Mutation(
        "answers/tolerance.py",
        "if expected.base != given.base or not same_unit(expected.unit, given.unit):",
        "if expected.base != given.base:",
        "numbers in two units differ",
        "test_answer_types.py::test_number_without_tolerance_is_exact",
    ),
    # what the reward adds up
    Mutation(
        "compose.py",
        'if self.combination == "gated" and',
        "if False and",
        "a gate takes accuracy from what breaks the format",
        "test_compose.py::test_a_gate_takes_accuracy_from_what_breaks_the_format",
    ),
    Mutation(
        "compose.py",
        'breakdown = {"accuracy": judged.verdict.score}',
        'breakdown = {"accuracy": float(judged.verdict.correct)}',
        "a graded answer earns its grade",
        "test_compose.py",
    ),
    Mutation(
        "shaping/cosine.py",
        "min(judged.length / max_tokens, 1.0)",
        "judged.length / max_tokens",
        "length beyond the longest is not paid again",
        "test_shaping.py",
    ),
]  # fmt: skip


def places(mutation: Mutation, root: Path = REPOSITORY) -> int:
    """How often the snippet stands in its file."""
    return (root / REWARDS / mutation.file).read_text(encoding="utf-8").count(mutation.snippet)


def killed(mutation: Mutation, root: Path) -> bool:
    """Whether a test fails with the mutation made in the tree at `root`, which is left as it was."""
    path = root / REWARDS / mutation.file
    original = path.read_text(encoding="utf-8")
    path.write_text(original.replace(mutation.snippet, mutation.replacement), encoding="utf-8")
    tests = [f"tests/rewards/{test}" for test in mutation.tests.split()]
    try:
        run = subprocess.run(
            [sys.executable, "-m", "pytest", "-x", "-q", "-p", "no:cacheprovider", *tests],
            cwd=root,
            env=os.environ | {"PYTHONPATH": str(root / "src"), "PYTHONDONTWRITEBYTECODE": "1"},
            stdout=subprocess.DEVNULL,
            timeout=600,
        )
    except subprocess.TimeoutExpired:
        return True
    finally:
        path.write_text(original, encoding="utf-8")
    if run.returncode not in (0, 1):
        raise RuntimeError(f"pytest ended with {run.returncode} on {mutation.tests}")
    return run.returncode == 1


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", default="", help="mutations whose file or reason contains this")
    only = parser.parse_args().only
    chosen = [mutation for mutation in MUTATIONS if only in f"{mutation.file} {mutation.why}"]
    left = 0
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        for name in ("src", "tests", "conf"):
            shutil.copytree(REPOSITORY / name, root / name, symlinks=True, ignore=shutil.ignore_patterns("__pycache__"))
        shutil.copy(REPOSITORY / "pyproject.toml", root)
        for mutation in chosen:
            if places(mutation) != 1:
                result = f"FOUND {places(mutation)} TIMES"
            else:
                result = "killed" if killed(mutation, root) else "SURVIVED"
            left += result != "killed"
            print(f"{result:15} {mutation.file:24} {mutation.why}", flush=True)
    print(f"{len(chosen) - left} of {len(chosen)} mutations are noticed")
    return 1 if left else 0


if __name__ == "__main__":
    raise SystemExit(main())

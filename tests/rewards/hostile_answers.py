"""Answers that somebody wrote to hang, blow up, confuse or take over the verifier. None of them is right."""

from __future__ import annotations

CODE = (
    "__import__('os').system('touch {}')",
    "$__import__('os').system('touch {}')$",
    r"\text{{__import__('os').system('touch {}')}}",
    r"\operatorname{{__import__}}('os').system('touch {}')",
    r"\boxed{{exec(\"open('{}','w')\")}}",
    "open('{}','w')",
    "5+open('{}','w').write('5')",
    "(lambda: open('{}','w'))()",
    r"\frac{{open('{}','w')}}{{1}}",
    "eval(compile('open(\"{}\",\"w\")','','exec'))",
    "().__class__.__base__.__subclasses__()[104].load_module('os').system('touch {}')",
    r"$().\_\_class\_\_.\_\_base\_\_.\_\_subclasses\_\_()$ {}",
    "$x.__class__.__mro__[1].__subclasses__()$ {}",
    "`touch {}`; $(touch {})",
    r"\write18{{touch {}}} \input{{|touch {}}}",
    "{{{{cycler.__init__.__globals__.os.popen('touch {}')}}}}",
)
"""Each would make the file whose name is put into it."""

DEAR = {
    # What no pattern catches costs a worker its three seconds of processor time.
    "a hard integral": r"\int_0^1 \frac{x^x \sin(x^3)}{\ln(x+2)+e^{x^2}} dx",
    "an expansion behind a second pair of parentheses": "((x+y+z+w))^{60}",
    "a product of expansions": "(x+y)^{90}(z+w)^{90}(x+z)^{90}",
}

CHEAP = {
    # numbers that do not end
    "a tower of powers": "9^{9^{9^9}}",
    "a tower without braces": "9^9^9^9",
    "a tower in Python": "9**9**9**9",
    "a bracketed tower": "((9^9)^9)^{99999}",
    "a power of a power": "2^{10^{10}}",
    "a huge factorial": "1000000000!",
    "a factorial of a factorial": "((9!)!)!",
    "a power of a factorial": "2^{99!}",
    "an exponent in a decimal": "1e999999999",
    "a negative exponent": r"10^{-999999999}",
    "a binomial of a thousand million": r"\binom{10^9}{10^8}",
    "an expansion": "(x+y+z+w)^{60}",
    "an expansion of a binomial": r"\left(1+x\right)^{9999}",
    "an exponent in LaTeX": r"10^{999999999}",
    "infinity": "inf",
    "not a number": "nan",
    "a sum of a million million terms": r"\sum_{k=1}^{10^{12}} k^{-k}",
    "a product of a thousand million": r"\prod_{k=1}^{10^9} k",
    # nesting and size
    "fractions ten deep": r"\frac{1}{1+" * 10 + "5" + "}" * 10,
    "parentheses twenty deep": "(" * 20 + "6" + ")" * 20,
    "fractions thirty deep": r"\frac{1}{1+" * 30 + "5" + "}" * 30,
    "parentheses 250 deep": "(" * 250 + "5" + ")" * 250,
    "braces": "{" * 500,
    "roots ten thousand deep": r"\sqrt{" * 10_000 + "5" + "}" * 10_000,
    "fractions ten thousand deep": r"\frac{1}{" * 10_000 + "5" + "}" * 10_000,
    "roots fifty deep": r"\sqrt{" * 50 + "5" + "}" * 50,
    "a giant matrix": r"\begin{pmatrix}" + r"1 & 2 & 3 \\ " * 20_000 + r"\end{pmatrix}",
    "a determinant": r"\begin{vmatrix}" + r" \\ ".join("abcdefgh"[n] + " & x" * 7 for n in range(8)) + r"\end{vmatrix}",
    "100,000 digits": "5" * 100_000,
    "100,000 letters": "a" * 100_000,
    "every number up to 20,000": " ".join(map(str, range(20_000))),
    "endless boxes": r"\boxed{" * 14_000,
    "endless closed boxes": r"\boxed{" * 10_000 + "5" + "}" * 10_000,
    "seventy open boxes": r"\boxed{" * 70 + "5",
    "unbalanced braces": r"\frac{5}{{1}",
    "braces in the wrong order": "}5{",
    # characters
    "NUL": "5\x00",
    "only NUL": "\x00" * 500,
    "a lone surrogate": "\ud8005",
    "surrogates the wrong way round": "\udc00\ud800 x+5",
    "right-to-left override": "\u202e5x\u202c",
    "right-to-left marks": "\u200f\u200f+15",
    "zero-width characters": "1\u200b5",
    "a combining bomb": "5" + "\u0301\u0316" * 50_000,
    "a small combining bomb": "x" + "\u0301\u0316" * 200,
    "a ligature that swells": "\ufdfa" * 400,
    "digits of another script": "٥٥",
    "a backslash flood": "\\" * 500,
    "a dollar flood": "$" * 501,
    "full stops": "。" * 100_000,
}

FLOODS = {
    # The worst case of each regular expression, in a whole response: {} is where the flood of 100,000 characters goes.
    "space in a tag": ("<{}", " "),
    "slashes in a tag": ("< /{}", " "),
    "openings of tags": ("{}", "<"),
    "openings and spaces": ("{}", "< "),
    "tags left open": ("{}", "<answer "),
    "attributes": ("<answer {}", "x"),
    "new lines after an announcement": ("answer is{}", "\n"),
    "space after an announcement": ("final{}", " "),
    "colons after an announcement": ("answer is{}", " :"),
    "announcements": ("{}", "answer: "),
    "dollars": ("{}", "$"),
    "an open formula": ("${}", "a"),
    "open boxes": ("{}", r"\boxed{"),
    "space before a box": (r"\boxed{}", " "),
    "names of boxes": ("{}", r"\fbox"),
    "backslashes": (r"\boxed{{{}", "\\"),
    "space around a whole response": ("<think>a</think>{}<answer>5</answer> x", " "),
    "a long thought": ("<think>{}</think><answer>6</answer>", "a "),
    "underscores in a thought": ("<think>{}</think><answer>6</answer>", "_"),
}

SHORT_FLOODS = {
    # The worst cases of what reads an answer before any worker does; as long as an answer may be.
    "space in an assignment": ("x={}=", " "),
    "space after a dollar": ("${}x", " "),
    "dollars": ("{}", "$"),
    "stars": ("{}", "*"),
    "round brackets": ("{}", r"\("),
    "groups of digits": ("1{}0", ",000"),
    "digits": ("{}", "1"),
    "full stops": ("{}", ". "),
    "Chinese full stops": ("{}", "。"),
    "texts": ("{}", r"\text{"),
    "a letter and space": ("A.{}", " "),
    "combining characters": ("a{}", "\u0301\u0316"),
    "a ligature that swells": ("{}", "\ufdfa"),
    "currency": ("{}", "€"),
    "a quotient": ("1{}/", " "),
    "boxes in boxes": ("{}", r"\boxed{a"),
}

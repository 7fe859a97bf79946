r"""Amounts of money, and large numbers in words: `US\$1,200`, `Rs. 45`, "2.5 million"."""

from __future__ import annotations

import re
from decimal import Decimal

_DOLLARS = {
    "USD": "usd",
    "CAD": "cad",
    "AUD": "aud",
    "US": "usd",
    "CA": "cad",
    "AU": "aud",
    "NZ": "nzd",
    "HK": "hkd",
    "C": "cad",
    "A": "aud",
    "S": "sgd",
}
_SIGNS = {"$": "dollar", "€": "euro", "£": "gbp", "¥": "¥", "￥": "¥", "₹": "rupee", "₩": "krw", "₽": "rub"}
_SIGNS |= {"₺": "lira", "₪": "shekel", "₫": "dong", "฿": "baht", "₱": "peso", "₦": "naira", "₴": "hryvnia"}
_COMMANDS = {"pounds": "gbp", "textsterling": "gbp", "euro": "euro", "texteuro": "euro", "yen": "¥", "textyen": "¥"}
_COMMANDS |= {"textdollar": "dollar", "rupee": "rupee"}
ISO_CODES = ("usd", "cad", "aud", "nzd", "hkd", "sgd", "gbp", "chf", "sek", "nok", "dkk", "krw", "mxn", "brl", "rub")
_CODES = {code.upper(): code for code in ISO_CODES}
_CODES |= {"EUR": "euro", "JPY": "yen", "CNY": "yuan", "RMB": "yuan", "INR": "rupee", "Rs.": "rupee", "Rs": "rupee"}

_CODE = "|".join(map(re.escape, _CODES))
_NAMED = rf"(?:{'|'.join(_DOLLARS)})\\?\$|US\s\\?\$|(?:{_CODE})(?![A-Za-z])|\\(?:{'|'.join(_COMMANDS)})(?![A-Za-z])"
_CURRENCY = rf"{_NAMED}|\\?[{''.join(_SIGNS)}]"
_IN_TEXT = rf"\\(?:text|textrm|mathrm)\s*\{{\s*(?P<text>{_CURRENCY})\s*\}}"
_SPACE = r"(?:\s|~|\\[ ,;:!])*+"
_PREFIX = re.compile(rf"(?P<sign>[+-]?)\s*(?:{_IN_TEXT}|(?P<plain>{_CURRENCY})){_SPACE}(?=[+-]?(?:[0-9.]|\\[dt]?frac))")
_SUFFIX = re.compile(rf"(?<=[0-9}}]){_SPACE}(?P<plain>{_CURRENCY})$")
_IN_SPEECH = re.compile(
    rf"(?<![\w\\])(?:{_IN_TEXT}|(?P<plain>{_NAMED}|\\\$)){_SPACE}"
    r"(?P<amount>[0-9]+(?:(?:,|\{,\})[0-9]{3})*+(?:\.[0-9]+)?)(?![0-9A-Za-z]|[.,][0-9]|\s*(?:[-!^*/+(_=\\]|[A-Za-z]\s*$))"
)
_MAY_BE_IN_SPEECH = re.compile(rf"\$|\\|{_CODE}|dollar")
_US_DOLLARS = re.compile(r"\b(?:US|U\.S\.|American)\s+dollars?\b")

_SCALES = {"hundred": 2, "thousand": 3, "lakh": 5, "million": 6, "crore": 7, "billion": 9, "bn": 9, "trillion": 12}
_SCALES |= {"万": 4, "萬": 4, "亿": 8, "億": 8}
_WORD = "hundred|thousand|lakh|million|crore|billion|(?<=\\s)bn|trillion"
_SCALED = re.compile(
    rf"(?<![\w.,/^}}])(?P<number>[0-9]+(?:,[0-9]{{3}})*+(?:\.[0-9]+)?){_SPACE}(?:(?P<word>{_WORD})s?\b|(?P<sign>[万萬亿億]))",
    re.IGNORECASE,
)
_SCALE_IN_TEXT = re.compile(rf"\\text\s*\{{\s*((?:{_WORD})s?)\b\s*([^{{}}]*)\}}", re.IGNORECASE)


def split_currency(text: str) -> tuple[str, str]:
    r"""An amount without its currency, and that as a unit: `US\$1,200`, `€ 5`, `5 USD`; `""` where it has none."""
    if text[-1:].isdigit() and text[:1].isdigit():
        return text, ""
    if (found := _PREFIX.match(text)) is not None:
        amount, behind = split_currency(found["sign"] + text[found.end() :])
        return amount, behind or _unit(found["text"] or found["plain"])
    if (found := _SUFFIX.search(text)) is not None:
        return text[: found.start()], _unit(found["plain"])
    return text, ""


def with_currencies_behind(text: str) -> str:
    r"""The text with the currency of each amount as a word behind it: "It costs US\$1,200." is "It costs 1,200 usd."

    A single dollar sign may begin a formula, and stays.
    """
    if _MAY_BE_IN_SPEECH.search(text) is None:
        return text
    text = _US_DOLLARS.sub("dollars", text)
    return _IN_SPEECH.sub(lambda found: f"{found['amount']} {_unit(found['text'] or found['plain'])}", text)


def with_digits(text: str) -> str:
    """The text with "2.5 million" as 2500000."""
    text = _SCALE_IN_TEXT.sub(lambda found: f" {found[1]} " + (rf"\text{{{found[2]}}}" if found[2] else ""), text)
    return _SCALED.sub(_multiplied, text)


def _multiplied(scaled: re.Match[str]) -> str:
    exponent = _SCALES[(scaled["word"] or scaled["sign"]).lower()]
    number = Decimal(scaled["number"].replace(",", "")).scaleb(exponent)
    return f"{number:f}" if number % 1 else f"{number:.0f}"


def _unit(currency: str) -> str:
    """The name of the unit that a currency is."""
    currency = currency.replace("\\$", "$").strip()
    if currency.startswith("\\"):
        return _COMMANDS[currency[1:]]
    if currency.endswith("$") and len(currency) > 1:
        return _DOLLARS[currency[:-1].strip()]
    return _SIGNS.get(currency) or _CODES[currency]

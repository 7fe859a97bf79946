"""One module for each kind of answer. A judge takes (gold, answer, choices) and returns a reason.

Reasons: `"ok"`, `"wrong"`, `"unparsable"`. No judge but `mathematics` needs more than string work.
"""

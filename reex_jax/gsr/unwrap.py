"""The text of a model's reply, without what models like to put around it.

What the query itself has is no wrapping: a query in quotes keeps them. Nothing here takes longer
than a few passes over the reply, however hostile.
"""

import html
import json
import re
import unicodedata
from collections.abc import Callable
from typing import Any

from rapidfuzz.distance import OSA

_LAYERS = 6
_LONGEST = 50_000  # characters that are unwrapped; whatever is longer is no repair anyway
_ROLES = ("assistant", "model", "bot", "system", "user")
_TOKEN = re.compile(
    r"<\|[\w/ .-]{1,40}\|>|<\uff5c[^<>\uff5c]{1,40}\uff5c>|</?s>|<(?:eos|bos|pad|eot|eom|unk)>"
    r"|<(?:start|end|begin)_of_\w{1,20}>|<end_of_utterance>|\[/?INST\]|<</?SYS>>"
    r"|\[(?:EOS|BOS|PAD|SEP|CLS)\]|<\|\w{0,30}\|?$",
    re.IGNORECASE,
)
_MESSAGE = "<|message|>"
_CHANNEL = re.compile(r"<\|channel\|>\s*(final|analysis|commentary|\w+)", re.IGNORECASE)
# Channel markup whose tokens the server has stripped.
_BARE_CHANNEL = re.compile(r"analysis.{0,40000}?assistant\s*final(?=\S|\s)", re.DOTALL)
_THINK = r"(?:think|thinking|thoughts?|reasoning|reason|reflection|analysis|scratchpad)"
_THOUGHT = re.compile(
    rf"(?P<open><(?:\w+:)?{_THINK}(?:\s[^<>]{{0,80}})?>|\[THINK\]|\u25c1think\u25b7"
    rf"|<\|(?:begin_of_)?{_THINK}\|>|<\|channel>)"
    rf"|</(?:\w+:)?{_THINK}\s*>|\[/THINK\]|\u25c1/think\u25b7|<\|(?:end_of_|/){_THINK}\|>"
    r"|<channel\|>",
    re.IGNORECASE,
)
_FENCE = re.compile(r"(`{3,}|~{3,})(.*?)(?:\1)?", re.DOTALL)
_LANGUAGES = ("text", "txt", "plaintext", "plain", "markdown", "md", "json", "query", "output")
_TAG = re.compile(r"<([A-Za-z]\w{0,30})>(.*)</\1>", re.DOTALL)
_BULLET = re.compile(r"(?:#{1,6}|[-*+\u2022>]|\d{1,2}[.)])\s+")
_NAME = (
    r"(?:the\s+)?(?:final\s+)?(?:corrected|mended|repaired|fixed|cleaned|revised|correct)?\s*"
    r"(?:query|text|sentence|caption|version|output|answer|result|response|reply|correction"
    r"|corrected|mended|repaired|fixed|assistant)"
)
_LABEL = re.compile(rf"{_NAME}\s*(?:is\s*)?[:\uff1a]\s*|assistant\s*\n\s*", re.IGNORECASE)
_ANY_LABEL = re.compile(r"([^:\uff1a\n]{1,40})[:\uff1a]\s+")
_OBJECT = re.compile(r"\{\s*['\"]?\w+['\"]?\s*:\s*(['\"])(.*)\1\s*,?\s*\}", re.DOTALL)
_KEYS = ("query", "text", "corrected", "corrected_query", "mended", "repaired", "output", "answer",
         "result", "response", "correction", "fixed")  # fmt: skip
_ENTITY = re.compile(r"&(?:#\d+|#x[0-9a-f]+|[a-z]+);", re.IGNORECASE)
_PAIRS = {
    '"': '"\u201d', "'": "'\u2019", "`": "`'", "\u201c": "\u201d\u201c", "\u2018": "\u2019\u2018",
    "\u201d": "\u201d", "\u2019": "\u2019", "\u201e": "\u201c\u201d", "\u201a": "\u2018\u2019",
    "\u00ab": "\u00bb", "\u00bb": "\u00ab", "\u2039": "\u203a", "\u203a": "\u2039",
    "\u300c": "\u300d", "\u300e": "\u300f", "\u300a": "\u300b",
}  # fmt: skip


def unwrap(query: str, reply: str) -> str:
    """The reply without tokens, channels, thoughts, fences, JSON, labels, Markdown and quotes.

    Args:
        query: what was to be mended; what it has itself stays.
        reply: as the model wrote it.

    Returns:
        What is left, in one piece of the reply (so that its tokens can be found there), save where
        marks inside of it had to go; "" if nothing is left, or only unfinished thoughts.
    """
    reply = _first_turn(query, _without_thoughts(query, _final_channel(query, readable(reply))))
    reply = reply.strip()
    if len(reply) > _LONGEST:
        return reply
    for _ in range(_LAYERS):
        before = reply
        for peel in _PEELS:
            reply = peel(query, reply).strip()
        if reply == before:
            break
    return reply


def readable(text: str) -> str:
    """A text without control characters and halves of characters, which no file keeps."""
    text = text.replace("\r\n", "\n")
    if text.isprintable():
        return text
    kept = (c for c in text if c in "\n\t" or unicodedata.category(c) not in ("Cc", "Cs"))
    return "".join(kept).strip("\ufeff\u200b\u2060")


def _final_channel(query: str, reply: str) -> str:
    if "<|channel|>" in query or _MESSAGE in query:
        return reply
    head, message, body = reply.rpartition(_MESSAGE)
    channels = list(_CHANNEL.finditer(head if message else reply))
    if message:
        name = channels[-1][1] if channels else _TOKEN.sub(" ", head).strip().rpartition(" ")[2]
        return "" if name.lower() in ("analysis", "commentary", "thought") else body
    if channels:
        final = channels[-1][1].lower() == "final"
        return reply[channels[-1].end() :] if final else ""
    bare = _BARE_CHANNEL.match(reply.lstrip())
    return reply.lstrip()[bare.end() :] if bare else reply


def _without_thoughts(query: str, reply: str) -> str:
    """What stands outside of thoughts; a closing tag without its opening one closes them too."""
    own = query.lower()
    kept, inside, start = [], False, 0
    for mark in _THOUGHT.finditer(reply):
        if mark.group().lower() in own:
            continue
        if mark["open"]:
            if not inside:
                kept.append(reply[start : mark.start()])
            inside = True
        else:
            if not inside:
                kept.clear()
            inside, start = False, mark.end()
    return "".join(kept if inside else [*kept, reply[start:]])


def _first_turn(query: str, reply: str) -> str:
    """The first turn that says something: nothing behind an end token, no names of roles."""
    own = query.lower()
    start, turned = 0, False
    for mark in [*_TOKEN.finditer(reply), None]:
        if mark is not None and mark.group().lower() in own:
            continue
        turn = reply[start : mark.start() if mark else len(reply)].strip()
        first, _, rest = turn.partition("\n")
        if turned and first.strip(" :").lower() in _ROLES:
            turn = rest.strip()
        if turn or mark is None:
            return turn
        start, turned = mark.end(), True
    return ""


def _unfenced(query: str, reply: str) -> str:
    fence = _FENCE.fullmatch(reply)
    if not fence or fence[1] in query or fence[1] in fence[2]:
        return reply
    first, _, rest = fence[2].partition("\n")
    if rest.strip() and re.fullmatch(r"\w*", first.strip()):
        return rest
    word, _, rest = fence[2].strip().partition(" ")
    return rest if word.lower() in _LANGUAGES and not query.lower().startswith(word) else fence[2]


def _from_json(query: str, reply: str) -> str:
    if reply[:1] not in ('"', "{", "[") or (
        reply[0] == query[:1] and not ('\\"' in reply and '\\"' not in query)
    ):
        return reply
    try:
        value = json.loads(reply)
    except (ValueError, RecursionError):
        quoted = _OBJECT.fullmatch(reply)
        return quoted[2] if quoted else reply
    found = _only_text(value)
    return reply if found is None else readable(found)


def _only_text(value: Any) -> str | None:
    """The one text of a JSON value that is, or may be, the repair."""
    if isinstance(value, dict):
        named = [value[key] for key in _KEYS if isinstance(value.get(key), str)]
        value = named or [item for item in value.values() if isinstance(item, str)]
        value = value[:1] if named else value
    if isinstance(value, list):
        value = value[0] if len(value) == 1 else None
    return value if isinstance(value, str) else None


def _untagged(query: str, reply: str) -> str:
    tagged = _TAG.fullmatch(reply)
    return tagged[2] if tagged and f"<{tagged[1]}>".lower() not in query.lower() else reply


def _unlabelled(query: str, reply: str) -> str:
    """Without "Corrected:" and the like, or any other words and a colon that the query lacks."""
    label = _LABEL.match(reply)
    if label and not _LABEL.match(query):
        return reply[label.end() :]
    other = _ANY_LABEL.match(reply)
    if other and not {":", "\uff1a"} & set(query) and not begins_like(query, other[1]):
        return reply[other.end() :]
    return reply


def begins_like(query: str, start: str) -> bool:
    """Whether a query begins about as a repair does."""
    return OSA.normalized_distance(start.lower(), query[: len(start)].lower()) <= 0.5


def _without_markdown(query: str, reply: str) -> str:
    if "~~" in reply and "~~" not in query:
        reply = re.sub(r"~~[^~\n]*~~\s*", "", reply)
    for mark in ("**", "__"):
        if mark not in query:
            reply = reply.replace(mark, "")
    for mark in "*_":
        if len(reply) > 2 and reply[0] == reply[-1] == mark and not query.startswith(mark):
            reply = reply[1:-1]
    bullet = _BULLET.match(reply)
    return reply[bullet.end() :] if bullet and not _BULLET.match(query) else reply


def _unquoted(query: str, reply: str) -> str:
    if "&" in reply and not _ENTITY.search(query):
        reply = html.unescape(reply)
    wrapped = len(reply) >= 2 and reply[-1] in _PAIRS.get(reply[0], "")
    if wrapped and reply[0] != query[:1]:
        return reply[1:-1]
    lone = reply.count('"') == 1 and '"' not in query  # its partner was cut off
    return reply.strip('"') if lone else reply


_PEELS: tuple[Callable[[str, str], str], ...] = (
    _unfenced, _from_json, _untagged, _unlabelled, _without_markdown, _unquoted,
)  # fmt: skip

"""Answer what a Worker's R2 binding asks.

A read comes as GET with the question in a header; a write as PUT whose body begins with the question, its size in a
header. Answers come the same way. Source: miniflare's bucket.worker.ts, read 2026-11-28.
"""

from __future__ import annotations

import base64
import json
from typing import TYPE_CHECKING, Any

from aiohttp import web

from twin.workerd.objects import LONGEST_LIST, NO_KEY, About, RefusedError

if TYPE_CHECKING:
    from twin.workerd.objects import Objects

_SIZE = "cf-r2-metadata-size"
_SUMS = ("md5", "sha1", "sha256", "sha384", "sha512")
_INCLUDED_LIST = 100  # objects of a list that shows metadata
_UNMET = (412, 10031, "At least one of the pre-conditions you specified did not hold.")
_UNSATISFIABLE = (416, 10039, "The requested range is not satisfiable")
Question = dict[str, Any]


async def answer(store: Objects, bucket: str, request: web.Request) -> web.Response:
    """Answer one request of an R2 binding."""
    about: About | None = None
    try:
        if request.method == "GET":
            asked: Question = json.loads(request.headers.get("cf-r2-request", "{}"))
            about = store.head(bucket, asked.get("object", ""))
            return _read(store, bucket, asked, about)
        whole = await request.read()
        size = int(request.headers.get(_SIZE, "0"))
        return _write(store, bucket, json.loads(whole[:size]), whole[size:])
    except RefusedError as refused:
        error = {"version": 1, "v4code": refused.code, "message": str(refused)}
        headers = {"cf-r2-error": json.dumps(error)}
        told = b""
        if refused.code == _UNMET[1] and about is not None:
            told = json.dumps(_shown(about)).encode()
            headers[_SIZE] = str(len(told))
        return web.Response(status=refused.status, headers=headers, body=told)


def _read(store: Objects, bucket: str, asked: Question, about: About | None) -> web.Response:
    if asked.get("method") == "list":
        return _list(store, bucket, asked)
    if about is None:
        raise RefusedError(*NO_KEY)
    if asked["method"] == "head":
        return _told(_shown(about))
    _require(asked.get("onlyIf"), about)
    start, length = _range(asked, about.size)
    body = store.body(bucket, about.name)[start : start + length]
    return _told(_shown(about) | {"range": {"offset": start, "length": length}}, body)


def _write(store: Objects, bucket: str, asked: Question, body: bytes) -> web.Response:
    name, upload = asked.get("object", ""), asked.get("uploadId", "")
    match asked["method"]:
        case "delete":
            store.delete(bucket, *(asked.get("objects") or [name]))
        case "put":
            _require(asked.get("onlyIf"), store.head(bucket, name))
            return _told(_shown(store.put(bucket, _sent(asked), body)))
        case "createMultipartUpload":
            return _told({"uploadId": store.begin(bucket, _sent(asked))})
        case "uploadPart":
            return _told({"etag": store.add(bucket, name, upload, asked["partNumber"], body)})
        case "completeMultipartUpload":
            parts = [(part["part"], part["etag"]) for part in asked["parts"]]
            return _told(_shown(store.complete(bucket, name, upload, parts)))
        case "abortMultipartUpload":
            store.abort(bucket, name, upload)
        case other:
            raise RefusedError(500, 10001, f"the twin does not know the R2 method {other}: see twin/workerd/r2.py")
    return web.Response()


def _sent(asked: Question) -> About:
    http = {key: str(value) for key, value in (asked.get("httpFields") or {}).items()}
    custom = {pair["k"]: pair["v"] for pair in asked.get("customFields") or []}
    sums = {name: asked[name] for name in _SUMS[1:] if asked.get(name)}
    return About(asked["object"], http, custom, asked.get("storageClass") or "Standard", checksums=sums)


def _shown(about: About) -> Question:
    sums = {**(about.checksums or {})}
    if "-" not in about.etag:
        sums["md5"] = about.etag
    return {
        "name": about.name,
        "version": about.version,
        "size": about.size,
        "etag": about.etag,
        "uploaded": about.uploaded,
        "httpFields": about.http,
        "customFields": [{"k": key, "v": value} for key, value in about.custom.items()],
        "range": {"offset": 0, "length": about.size},
        "checksums": {str(number): sums[name] for number, name in enumerate(_SUMS) if name in sums},
        "storageClass": about.storage_class,
    }


def _told(question: object, body: bytes = b"") -> web.Response:
    told = json.dumps(question).encode()
    return web.Response(body=told + body, headers={_SIZE: str(len(told))}, content_type="application/json")


def _list(store: Objects, bucket: str, asked: Question) -> web.Response:
    limit = asked.get("limit") or LONGEST_LIST
    if not 1 <= limit <= LONGEST_LIST:
        raise RefusedError(400, 10022, "MaxKeys params must be positive integer <= 1000.")
    include = asked.get("include") or []
    cursor = base64.urlsafe_b64decode(asked.get("cursor") or "").decode()
    page = store.listed(
        bucket,
        prefix=asked.get("prefix") or "",
        after=max(asked.get("startAfter") or "", cursor),
        delimiter=asked.get("delimiter") or "",
        limit=min(limit, _INCLUDED_LIST) if include else limit,
    )
    left_out = {field for number, field in enumerate(("httpFields", "customFields")) if number not in include}
    empty: Question = {"httpFields": {}, "customFields": []}
    told: Question = {
        "objects": [_shown(one) | {field: empty[field] for field in left_out} for one in page.objects],
        "truncated": page.after is not None,
        "delimitedPrefixes": page.prefixes,
    }
    if page.after is not None:
        told["cursor"] = base64.urlsafe_b64encode(page.after.encode()).decode()
    return _told(told)


def _require(condition: Question | None, about: About | None) -> None:
    """Refuse where the condition does not hold for the object that is there."""
    if not condition:
        return
    if about is None:
        holds = condition.get("etagMatches") is None and condition.get("uploadedAfter") is None
    else:
        unit = 1000 if condition.get("secondsGranularity") else 1
        uploaded = about.uploaded // unit
        before, after = condition.get("uploadedBefore"), condition.get("uploadedAfter")
        holds = (
            _names(condition.get("etagMatches"), about.etag, otherwise=True)
            and not _names(condition.get("etagDoesNotMatch"), about.etag, otherwise=False)
            and (before is None or uploaded < int(before) // unit)
            and (after is None or uploaded > int(after) // unit)
        )
    if not holds:
        raise RefusedError(*_UNMET)


def _names(etags: list[Question] | None, etag: str, *, otherwise: bool) -> bool:
    if etags is None:
        return otherwise
    return any(one["type"] == "wildcard" or one.get("value") == etag for one in etags)


def _range(asked: Question, size: int) -> tuple[int, int]:
    """Return offset and length of what is asked for."""
    header = asked.get("rangeHeader")
    wanted = _from_header(header) if header else asked.get("range") or {}
    if wanted.get("suffix") is not None:
        length = min(int(wanted["suffix"]), size)
        start = size - length
    else:
        start = int(wanted.get("offset") or 0)
        length = min(int(wanted["length"]) if wanted.get("length") is not None else size - start, size - start)
    if wanted and (start > size or length <= 0):
        raise RefusedError(*_UNSATISFIABLE)
    return start, length


def _from_header(header: str) -> Question:
    first, dash, last = header.removeprefix("bytes=").partition("-")
    if not dash or "," in header or not (first + last).isdecimal():
        return {}
    if not first:
        return {"suffix": int(last)}
    return {"offset": int(first)} | ({"length": int(last) - int(first) + 1} if last else {})

"""What a sweep has changed: the calls that the providers saw, and what stands in the end, counted where it stands."""

from __future__ import annotations

import hashlib
import json
import re
import time
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from benchmarks.sweeping import product
from benchmarks.sweeping.door import ID
from runbooks.model.records import state_of
from runbooks.model.settings import read_stack
from runbooks.steps.cloudflare.records import zone_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from benchmarks.sweeping.place import Place
    from benchmarks.sweeping.stack_files import Point
    from runbooks.clients.twin import Call

LEDGER: Final = "releases.jsonl"
RECORDS: Final = "records.jsonl"
ERASURES: Final = "erasures.jsonl"
MANIFEST: Final = "manifest.json"
"""What a backup has that is whole."""
TWICE_AS_GOOD: Final = "/purge_cache"
"""The end of a call that may be made again: what it did cannot be asked for, and once more changes nothing."""
NUMBER: Final = re.compile(r"\d[\w.:-]*")
RUN: Final = re.compile(r"kept by run \S+")
GONE_WITHIN: Final = 5.0  # seconds in which the programs of a process that was killed end


def happened(place: Place, point: Point, calls: Sequence[Call]) -> Counter[str]:
    """Count every effect among the calls, what was written into the ops home, and what stands at the end."""
    effects = [call for call in calls if call.effect]
    count = Counter(f"{call.method} {ID.sub('…', call.path.partition('?')[0])}" for call in effects)
    for noted in _noted(place, point, LEDGER):
        count[f"ledger: {noted['service']} {noted['standing']} {_role(place, noted['version'])}"] += 1
    count["kept records"] += len(_noted(place, point, RECORDS))
    count.update({name: 1 - times for name, times in count.items() if name.endswith(TWICE_AS_GOOD)})
    count["copies"] += len(list(point.home.glob("backups/*/manifest.json")))
    count["kept rows"] += len(list(point.home.glob("backups/*/later/manifest.json")))
    count["proofs"] += len(list(point.home.glob("proofs/*/*.json")))
    count["lists of what was accepted"] += len(list(point.home.glob("runs/*/accepted.csv")))
    if (ledger := point.home / ERASURES).is_file():
        count["erasures noted"] += len(ledger.read_bytes().splitlines()) - 1
    count.update(stands(place, point))
    return count + Counter()


def stands(place: Place, point: Point) -> Counter[str]:
    """Count what stands, whatever was done for it: at the providers, in the database, in the store, here."""
    found = Counter([*_providers(place, point), *_in_the_store(point), *_here(place, point), *_of_server(place)])
    return found + _in_the_database(place)


def runs(point: Point) -> Iterator[str]:
    """Tell how each run ended by its journal, and which lease is held of a run that has not."""
    closed = set()
    for journal in sorted((point.home / "runs").glob("*/journal.jsonl")):
        if lines := journal.read_bytes().splitlines():
            last = json.loads(lines[-1])
            closed |= {journal.parent.name} if last["kind"] == "closed" else set()
            yield f"run {last['payload'].get('status', last['kind'])}"
    for stack in sorted((point.home / "leases").glob("*")):
        holder = json.loads(max(stack.iterdir(), key=lambda path: int(path.stem)).read_bytes())
        free = holder["released"] or holder["run"] in closed
        yield f"lease of {stack.name}: {'free' if free else 'held'}"


def _providers(place: Place, point: Point) -> Iterator[str]:
    site = place.stage.site
    live = site.cloudflare.live(site.settings.stack.api.name)
    yield f"live: {_role(place, live.version or 'split') if live else 'nothing'}"
    yield f"site: {_role(place, place.site_now())}"
    yield f"records: {_role(place, state_of(zone_of(site.cloudflare, site.settings.stack)[1]()))}"
    for name, pin in read_stack(point.stack_file).pins.items():
        yield f"pinned {name}: {_role(place, pin.version)}"
    yield f"allowed: {', '.join(site.supabase.restrictions().config.all)}"


def _in_the_database(place: Place) -> Counter[str]:
    """Count the databases that there are, by what is in them; and what waits and works in the present one."""
    found = Counter({f"database: {what}": rows for what, rows in product.stands(place.database_url)})
    for name, note, digest in product.databases(place.database_url):
        contents = place.digests.get(digest, "other rows")
        told = RUN.sub("kept by run …", NUMBER.sub("…", note)) or "no note"
        found[f"database {NUMBER.sub('…', name)}: {contents}, {told}"] += 1
    return found


def _in_the_store(point: Point) -> Iterator[str]:
    """Tell of each folder of own backups what it is: whole is what has a manifest, and every file of it as written."""
    store = point.store
    folders = {name.partition("/")[0] for name in store.sizes("")}
    if (here := store.path("")) is not None:
        folders |= {folder.name for folder in here.glob("*")}  # empty ones too, and drafts
    for folder in sorted(folders):
        manifest = store.get(f"{folder}/{MANIFEST}")
        if folder.startswith("draft-") or manifest is None:
            yield f"in the store: {'a draft' if folder.startswith('draft-') else 'half a backup'}"
            continue
        told = {file["name"]: file["sha256"] for file in json.loads(manifest)["files"]}
        files = {name: store.get(f"{folder}/{name}") for name in store.sizes(folder) if name != MANIFEST}
        got = {name: hashlib.sha256(content or b"").hexdigest() for name, content in files.items()}
        yield f"in the store: {'a whole backup' if got == told else 'a damaged backup'}"


def _here(place: Place, point: Point) -> Iterator[str]:
    """Tell what is left on this machine: private folders, fetched backups, programs at work."""
    yield from (f"left here: {NUMBER.sub('…', path.name)}" for path in sorted(point.temp.glob("ems-ops-*")))
    yield from (f"left here: fetched {NUMBER.sub('…', path.name)}" for path in sorted(point.home.glob("fetched/*")))
    marks = [f"{point.temp}/", *([f"{place.server.data}.ems-ops-"] if place.server else [])]
    until = time.monotonic() + GONE_WITHIN
    while (programs := _programs(marks)) and time.monotonic() < until:
        time.sleep(0.05)
    yield from (f"still at work: {name}" for name in programs)


def _of_server(place: Place) -> Iterator[str]:
    """Tell what recoveries have left beside the data folder of a server of our own."""
    if place.server is not None:
        for work in sorted(place.server.folder.glob("data.ems-ops-*")):
            yield f"beside the data folder: {', '.join(sorted(path.name for path in work.iterdir()))}"


def _programs(marks: Sequence[str]) -> list[str]:
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            words = path.read_bytes().decode("utf-8", "replace")
        except OSError:
            continue
        if any(mark in words for mark in marks):
            found.append(Path(words.partition("\0")[0]).name)
    return found


def _noted(place: Place, point: Point, name: str) -> list[dict[str, Any]]:
    """Return the lines that a point's ops home has more than it began with."""
    known = len((place.stage.site.settings.home / name).read_bytes().splitlines())
    return [json.loads(line) for line in (point.home / name).read_bytes().splitlines()[known:]]


def _role(place: Place, version: str) -> str:
    known = {place.old: "old", place.new: "new", place.old_site: "old site", place.new_site: "new site"}
    role = (known | {state_of(place.records): "as proven"}).get(version)
    return role or ("another" if not place.has_new_secrets(version) else "new, with other secrets")

"""Packs emoji pictures with their names into datasets/emoji/.

    npm pack emojibase-data@17.0.0
    cargo add twemoji-assets@1.5.1      # in any package; `cargo fetch` leaves its .crate, a tar.gz, in cargo's cache
    python tests/reference/emoji.py emojibase-data-17.0.0.tgz twemoji-assets-1.5.1+17.0.2.crate datasets/emoji

The archive holds emoji.jsonl, one object a line, and the pictures it names as twemoji has them, 72 x 72 pixels, in
the order of Unicode, with no times or owners, so that the same sources give the same tar. Skin tones, hair
components and regional indicators are left out: the first are near copies of what stays. Standard library only.
"""

import gzip
import hashlib
import io
import json
import sys
import tarfile
from pathlib import Path

LEFT_OUT = {None, 2}  # without a group: regional indicators; 2: components


def picture(hexcode: str) -> str:
    """How twemoji names the picture of a sequence: no leading zeros, variation selectors only in joined sequences."""
    codes = [code.lstrip("0") for code in hexcode.lower().split("-")]
    if "200d" not in codes:
        codes = [code for code in codes if code != "fe0f"]
    return "-".join(codes) + ".png"


def members(archive: tarfile.TarFile) -> dict[str, bytes]:
    files = {}
    for member in archive:
        if member.isfile():
            files[member.name.split("/", 1)[1]] = archive.extractfile(member).read()
    return files


def main(names_path: str, pictures_path: str, out: str) -> None:
    with tarfile.open(names_path) as archive:
        names = members(archive)
    with tarfile.open(pictures_path) as archive:
        pictures = members(archive)
    groups = {g["order"]: g["message"] for g in json.loads(names["en/messages.json"])["groups"]}
    rows = [row for row in json.loads(names["en/data.json"]) if row.get("group") not in LEFT_OUT]
    rows.sort(key=lambda row: row["order"])
    lines, contents = [], []
    for row in rows:
        file = picture(row["hexcode"])
        content = pictures.get(f"assets/72x72/{file}")
        if content is None:
            print(f"no picture of {row['label']}", file=sys.stderr)
            continue
        line = {"image": file, "name": row["label"], "tags": row.get("tags", []), "group": groups[row["group"]]}
        lines.append(json.dumps(line, ensure_ascii=False, separators=(",", ":")) + "\n")
        contents.append((file, content))
    contents.insert(0, ("emoji.jsonl", "".join(lines).encode()))
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.USTAR_FORMAT) as tar:
        for file, content in contents:
            header = tarfile.TarInfo(file)
            header.size = len(content)
            tar.addfile(header, io.BytesIO(content))
    tar = buffer.getvalue()
    print(f"{hashlib.sha256(tar).hexdigest()}  emoji.tar (before gzip), {len(lines)} pictures")
    packed = gzip.compress(tar, compresslevel=9, mtime=0)
    (Path(out) / "emoji.tar.gz").write_bytes(packed)
    print(f"{hashlib.sha256(packed).hexdigest()}  emoji.tar.gz  {len(packed)} bytes")
    (Path(out) / "LICENSE-NAMES").write_bytes(names["LICENSE"])


if __name__ == "__main__":
    if len(sys.argv) != 4:
        sys.exit(__doc__)
    main(*sys.argv[1:])

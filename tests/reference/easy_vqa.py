"""Packs the wheel of PyPI package easy-vqa 1.0 into datasets/easy-vqa/.

    pip download easy-vqa==1.0 --no-deps
    python tests/reference/easy_vqa.py easy_vqa-1.0-py3-none-any.whl datasets/easy-vqa

One archive a split, {train,test}.tar.gz, holding questions.json and images/0.png, images/1.png, ...: the wheel's
own bytes, in a fixed order, with no times or owners, so that the same wheel gives the same tar. (The gzip bytes
also depend on the zlib that Python was built with.) answers.txt and LICENSE are copied. Standard library only.
"""

import gzip
import hashlib
import io
import sys
import tarfile
import zipfile
from pathlib import Path

WHEEL_SHA256 = "fcb51b309b78c7b00f97b64cdbcbcf5c105f94da1b39c0796cee5a787c4f650f"
IMAGES = {"train": 4000, "test": 1000}


def pack(wheel: zipfile.ZipFile, split: str) -> bytes:
    """The tar of one split."""
    members = ["questions.json"] + [f"images/{i}.png" for i in range(IMAGES[split])]
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.USTAR_FORMAT) as tar:
        for member in members:
            content = wheel.read(f"easy_vqa/data/{split}/{member}")
            header = tarfile.TarInfo(member)
            header.size = len(content)
            tar.addfile(header, io.BytesIO(content))
    return buffer.getvalue()


def main(wheel_path: str, out: str) -> None:
    found = hashlib.sha256(Path(wheel_path).read_bytes()).hexdigest()
    if found != WHEEL_SHA256:
        sys.exit(f"{wheel_path}: SHA-256 {found}, expected {WHEEL_SHA256}")
    files = {}
    with zipfile.ZipFile(wheel_path) as wheel:
        for split in IMAGES:
            tar = pack(wheel, split)
            print(f"{hashlib.sha256(tar).hexdigest()}  {split}.tar (before gzip)")
            files[f"{split}.tar.gz"] = gzip.compress(tar, compresslevel=9, mtime=0)
        files["answers.txt"] = wheel.read("easy_vqa/data/answers.txt")
        files["LICENSE"] = wheel.read("easy_vqa-1.0.dist-info/LICENSE")
    for name, content in files.items():
        (Path(out) / name).write_bytes(content)
        print(f"{hashlib.sha256(content).hexdigest()}  {name}  {len(content)} bytes")


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    main(sys.argv[1], sys.argv[2])

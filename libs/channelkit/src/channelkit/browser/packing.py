"""A profile as bytes: a tar of what holds the login, without caches, compressed with gzip; and back, trusting nothing."""

import gzip
import io
import shutil
import stat
import tarfile
import zlib
from pathlib import Path, PurePosixPath

from servicekit.errors import Permanent, TooLarge

MAX_FILES = 20_000
MAX_BYTES = 1024 * 1024 * 1024
"""Unpacked: a profile with years of WhatsApp history stays well below."""
MAX_PACKED_BYTES = 64 * 1024 * 1024
CACHES = frozenset({
    "Cache", "Code Cache", "GPUCache", "GPUPersistentCache", "DawnCache", "DawnGraphiteCache", "DawnWebGPUCache",
    "GrShaderCache", "GraphiteDawnCache", "ShaderCache", "Shared Dictionary", "Service Worker", "blob_storage",
    "component_crx_cache", "extensions_crx_cache", "Crashpad", "Crash Reports", "BrowserMetrics", "Safe Browsing",
    "OptimizationGuideModelsManifest", "optimization_guide_model_store", "segmentation_platform", "Variations",
    "NativeMessagingHosts", "Extensions", "Sessions", "Feature Engagement Tracker",
})  # fmt: skip
"""Folders a browser makes anew. Service workers among them: a site registers its own again at the next visit."""
_LEVEL = 4
_PADDING_BYTES = _AT_ONCE_BYTES = 1024 * 1024


class BadProfile(Permanent):
    """What was given is no packed profile, or not one that may be unpacked."""

    def __init__(self, detail: str) -> None:
        super().__init__("bad_profile", detail)


def pack(profile: Path) -> bytes:
    """Return the profile's files as a compressed tar. The browser must have been closed.

    Raises TooLarge, FileNotFoundError where there is no profile.
    """
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:gz", compresslevel=_LEVEL, format=tarfile.PAX_FORMAT) as archive:
        for file in _files(profile):
            archive.add(file, arcname=file.relative_to(profile).as_posix(), recursive=False, filter=_anonymous)
    if out.tell() > MAX_PACKED_BYTES:
        raise TooLarge(f"the profile is {out.tell() >> 20} MB packed, at most {MAX_PACKED_BYTES >> 20} MB are kept")
    return out.getvalue()


def _files(profile: Path) -> list[Path]:
    """Return the regular files outside caches; links (Chromium's Singleton…), sockets and pipes stay behind."""
    found: list[Path] = []
    folders = [profile]
    while folders:
        for entry in sorted(folders.pop().iterdir()):
            mode = entry.lstat().st_mode
            if stat.S_ISDIR(mode) and entry.name not in CACHES:
                folders.append(entry)
            elif stat.S_ISREG(mode):
                found.append(entry)
    if len(found) > MAX_FILES:
        raise TooLarge(f"the profile has {len(found)} files, at most {MAX_FILES} are kept")
    return found


def _anonymous(member: tarfile.TarInfo) -> tarfile.TarInfo:
    member.uid = member.gid = 0
    member.uname = member.gname = ""
    member.mode = 0o600
    return member


def unpack(data: bytes, profile: Path) -> None:
    """Replace the folder *profile* by the packed one; a bad one leaves the old folder as it was.

    Regular files only, no path out of the folder, no more and no larger than a profile is. Raises BadProfile.
    """
    draft = profile.with_name(profile.name + ".new")
    shutil.rmtree(draft, ignore_errors=True)
    draft.mkdir(parents=True, mode=0o700)
    try:
        with _Careful(fileobj=io.BytesIO(data)) as plain, tarfile.open(fileobj=plain, mode="r:") as archive:
            _extract(archive, draft)
            _read_to_the_end(plain)
    except (tarfile.TarError, zlib.error, OSError, EOFError, ValueError) as error:
        shutil.rmtree(draft, ignore_errors=True)
        raise BadProfile(f"not a packed profile: {error}") from error
    except BadProfile:
        shutil.rmtree(draft, ignore_errors=True)
        raise
    shutil.rmtree(profile, ignore_errors=True)
    draft.rename(profile)


class _Careful(gzip.GzipFile):
    """Never much at once: a tar's own headers may claim any length, and tarfile reads them whole, as many GB as it says."""

    def read(self, size: int | None = -1) -> bytes:
        """Read at most a megabyte."""
        if size is None or not 0 <= size <= _AT_ONCE_BYTES:
            raise BadProfile("a header of the archive is too long")
        return super().read(size)


def _extract(archive: tarfile.TarFile, folder: Path) -> None:
    """Write the members as new plain files. By hand: Python 3.11.2, Debian 12's, does not know tarfile's `filter`."""
    count = total = 0
    for member in archive:  # one by one: an archive that unpacks to more than it may is stopped on the way
        count, total = count + 1, total + member.size
        if count > MAX_FILES or total > MAX_BYTES:
            raise BadProfile(f"more than {MAX_FILES} files or {MAX_BYTES >> 20} MB")
        content = archive.extractfile(member) if member.isreg() else None
        if content is None or not _stays_inside(PurePosixPath(member.name)):
            raise BadProfile(f"{member.name[:100]!r} is not a plain file of a profile")
        target = folder / member.name
        target.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        with target.open("xb") as out:
            shutil.copyfileobj(content, out)


def _read_to_the_end(plain: gzip.GzipFile) -> None:
    """Let gzip check its checksum, which lies behind the padding."""
    if len(plain.read(_PADDING_BYTES)) == _PADDING_BYTES:
        raise BadProfile("more follows the archive")


def _stays_inside(name: PurePosixPath) -> bool:
    return bool(name.parts) and not name.is_absolute() and ".." not in name.parts

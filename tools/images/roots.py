"""Unpacked images whose processes are run: in a chroot, as the image's user, on a read-only root.

Each process has a mount namespace of its own, so that nothing stays mounted when it ends, however it does.
It needs root.
"""

from dataclasses import dataclass
from pathlib import Path

from tools.images.archive import Archive

# Root, volume, then the command. A volume below /tmp lies in the tmpfs that is mounted there by then.
_ENTER = """
set -e
root=$1 volume=$2
shift 2
mount --bind "$root" "$root"
mount -o remount,bind,ro "$root"
mount -t tmpfs -o mode=1777 tmpfs "$root/tmp"
mount --bind /proc "$root/proc"
mount --bind /dev "$root/dev"
mkdir -p "$root$volume"
mount --bind "$volume" "$root$volume"
exec chroot "$@"
"""


@dataclass(frozen=True)
class ImageRoot:
    """An image, the folder that holds its root file system, and a volume that it has at the same path."""

    image: Archive
    folder: Path
    volume: Path

    def command(self, *instead: str) -> tuple[str, ...]:
        """What runs the image's entry point, or another command, as its user, in its folder.

        Its root is read-only, but for /tmp and the volume.
        """
        config = self.image.config["config"]
        inside = instead or tuple(config["Entrypoint"])
        alone = ("unshare", "--mount", "sh", "-c", _ENTER, "sh", str(self.folder), str(self.volume))
        enter = (f"--userspec={config['User']}", str(self.folder))
        return (*alone, *enter, "env", f"--chdir={config['WorkingDir']}", *config["Env"], *inside)


def unpacked(image: Archive, folder: Path, volume: Path) -> ImageRoot:
    """Unpack an image into a folder that is made for it."""
    folder.mkdir(parents=True)
    image.unpack(folder)
    for path in (folder / str(volume).lstrip("/"), folder / "tmp", folder / "proc", folder / "dev"):
        path.mkdir(parents=True, exist_ok=True)
    return ImageRoot(image, folder, volume)

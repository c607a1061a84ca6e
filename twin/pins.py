"""Name the npm packages that the twin runs: exact versions, and the hash of each archive."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Package:
    """An npm package: its exact version and the SHA-512 of its archive, as `npm view` shows them."""

    name: str
    version: str
    sha512: str

    def __str__(self) -> str:
        return f"{self.name} {self.version}"


_WORKERD = "1.20261117.1"
_WORKERD_DARWIN = "1.20261023.1"  # the newest that is published for both kinds of Mac
_ESBUILD = "0.28.2"
WORKERD = {
    "linux-x86_64": Package(
        "@cloudflare/workerd-linux-64",
        _WORKERD,
        "gZLA8X11m/luZwn+YA3+mDu61vdxNJzpksP/QZqjydKTQ+VUCulsK5gtn9Bqst1p3KJu2kafQpJ1nDQv4B23jA==",
    ),
    "linux-aarch64": Package(
        "@cloudflare/workerd-linux-arm64",
        _WORKERD,
        "gxWngFojq41ULKNKb9rpWYvKotN5hT2I/xot+Bpy31cXzrwcTgtDLSMb2t75sW5BJxH7hihFvikgYb577kB3Zg==",
    ),
    "darwin-x86_64": Package(
        "@cloudflare/workerd-darwin-64",
        _WORKERD_DARWIN,
        "lsEx0i7nR0PNG/erUFFHmQmiidEhLfDE5uQmAL9421/y4/ycuxDDOSaxu3VGGYFFPK5sduyUeMmjIlX4CwOBFg==",
    ),
    "darwin-arm64": Package(
        "@cloudflare/workerd-darwin-arm64",
        _WORKERD_DARWIN,
        "5e79fHgabdDD8EgmjOhJ1S+xMsf6DbC7fL7IgTBizMnzOp0P2isDn7pYmUxI9AJZE9FVQ4RUilH/I36YNg+GQQ==",
    ),
}
ESBUILD = {
    "linux-x86_64": Package(
        "@esbuild/linux-x64",
        _ESBUILD,
        "4xTZr1FUmSoQW4XIWmit3tzQrUTZM+N3P0XV8xROKYF50XfI7xeO90+1bZvNwxIufQ9hDQVRJH5YhgPVF8A/HQ==",
    ),
    "linux-aarch64": Package(
        "@esbuild/linux-arm64",
        _ESBUILD,
        "pW4AC0P3it8c7do9MVM4p51FzHzdM/TZrerurgRcHJ2WTa1VQ1CIq18xncfpBJw4ojkiZZrKW2yIBWBP92j6Ug==",
    ),
    "darwin-x86_64": Package(
        "@esbuild/darwin-x64",
        _ESBUILD,
        "uq6suIWYP37qzGddBKPw5QEQPi6HiLGsO7UmkpfyaYNQ3D+rN6w6WfwH+nuqcGXWvawGwxOEroO4YGnFh95azw==",
    ),
    "darwin-arm64": Package(
        "@esbuild/darwin-arm64",
        _ESBUILD,
        "n4KqkOQrraxHJcgjM1RvwbigfQKIKJVpM7xp+KsxiyUSrRdIXnt73VhrPAx0fV44hgfmIVKjxMN9J1t5jySVkw==",
    ),
}
LIBRARIES = (
    Package(
        "postgres", "3.4.9", "GD3qdB0x1z9xgFI6cdRD6xu2Sp2WCOEoe3mtnyB5Ee0XrrL5Pe+e4CCnJrRMnL1zYtRDZmQQVbvOttLnKDLnaw=="
    ),
)
"""What a Worker may import without a node_modules folder of its own."""

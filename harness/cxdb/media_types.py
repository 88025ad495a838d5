"""File ending -> content type, as the real server's file pages give it."""

from __future__ import annotations

__all__ = ["media_type_of"]

_BY_ENDING = {
    "html": "text/html",
    "htm": "text/html",
    "css": "text/css",
    "js": "application/javascript",
    "json": "application/json",
    "xml": "application/xml",
    "txt": "text/plain",
    "md": "text/markdown",
    "rs": "text/x-rust",
    "go": "text/x-go",
    "py": "text/x-python",
    "rb": "text/x-ruby",
    "java": "text/x-java",
    "c": "text/x-c",
    "h": "text/x-c",
    "cpp": "text/x-c++",
    "cc": "text/x-c++",
    "cxx": "text/x-c++",
    "hpp": "text/x-c++",
    "ts": "text/typescript",
    "tsx": "text/typescript-jsx",
    "jsx": "text/javascript-jsx",
    "yaml": "text/yaml",
    "yml": "text/yaml",
    "toml": "text/toml",
    "sh": "text/x-shellscript",
    "bash": "text/x-shellscript",
    "png": "image/png",
    "jpg": "image/jpeg",
    "jpeg": "image/jpeg",
    "gif": "image/gif",
    "svg": "image/svg+xml",
    "webp": "image/webp",
    "pdf": "application/pdf",
    "zip": "application/zip",
    "tar": "application/x-tar",
    "gz": "application/gzip",
}


def media_type_of(path: str) -> str:
    return _BY_ENDING.get(path.rsplit(".", 1)[-1].lower(), "application/octet-stream")

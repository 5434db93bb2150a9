"""Storage: recordings as WAV files, their rows in SQLite, and the locks of live sessions.

`AudioStorage` is public. The loop hands audio and rows over to one writer thread (`writer`), which gives them
to the files and the database (`disk`); a `RunRecorder` is what a session holds of it.
"""

from omnirt.storage.recorder import RunRecorder
from omnirt.storage.records import AudioFile, Heard, RunInfo, StorageProblem, StorageStats
from omnirt.storage.storage import AudioStorage

__all__ = ["AudioFile", "AudioStorage", "Heard", "RunInfo", "RunRecorder", "StorageProblem", "StorageStats"]

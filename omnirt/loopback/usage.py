"""Tokens of a simulated session, counted by simple rules: 4 letters of text, 50 or 100 ms of audio each."""

from __future__ import annotations

from omnirt.loopback.config import SessionSettings
from omnirt.loopback.items import Items
from omnirt.loopback.response import Response
from omnirt.loopback.wire import Json

_LIMITS = {"requests": 1_000, "tokens": 200_000}
_CACHE_BLOCK = 64  # tokens: the provider caches prefixes in blocks


class Meter:
    """What each response costs, given all that was said before it."""

    def __init__(self) -> None:
        self.has_spoken = False
        self._seen = (0, 0)  # text and audio tokens of the last response's input: cached for the next
        self._input: dict[str, tuple[int, int, int, int]] = {}
        self._requests = 0
        self._tokens = 0

    def begin(self, response: Response, settings: SessionSettings, items: Items) -> None:
        """Count what a response reads."""
        text = len(settings.instructions or "") // 4 + 16 * len(settings.tools)
        audio = 0
        for item in items.all:
            text += (len(item.text) + len(item.arguments) + len(item.output)) // 4 + 3
            audio += sum(part.ms // (100 if item.role == "user" else 50) for part in item.content)
        cached = (min(now, old) for now, old in zip((text, audio), self._seen, strict=True))
        cached_text, cached_audio = (tokens // _CACHE_BLOCK * _CACHE_BLOCK for tokens in cached)
        self._input[response.id] = text, audio, cached_text, cached_audio
        self._seen = text, audio
        self._requests += 1

    def end(self, response: Response) -> Json:
        """The `usage` of a response that is over."""
        text, audio, cached_text, cached_audio = self._input.pop(response.id)
        self.has_spoken = self.has_spoken or response.audio_tokens > 0
        output = response.text_tokens + response.audio_tokens
        self._tokens += text + audio + output
        return {
            "total_tokens": text + audio + output,
            "input_tokens": text + audio,
            "output_tokens": output,
            "input_token_details": {
                "text_tokens": text,
                "audio_tokens": audio,
                "image_tokens": 0,
                "cached_tokens": cached_text + cached_audio,
                "cached_tokens_details": {
                    "text_tokens": cached_text,
                    "audio_tokens": cached_audio,
                    "image_tokens": 0,
                },
            },
            "output_token_details": {
                "text_tokens": response.text_tokens,
                "audio_tokens": response.audio_tokens,
            },
        }

    def rate_limits(self) -> list[Json]:
        """What is left, as if a minute never ended."""
        used = {"requests": self._requests, "tokens": self._tokens}
        return [
            {"name": name, "limit": limit, "remaining": max(0, limit - used[name]), "reset_seconds": 60.0}
            for name, limit in _LIMITS.items()
        ]

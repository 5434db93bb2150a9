"""Microphone and loudspeaker of this machine, for hosts that have none: PortAudio through `sounddevice`."""

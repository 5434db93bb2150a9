"""The provider `local`: it really hears and speaks, on this machine and without any account (docs/LOCAL.md).

`provider` is where to begin; `hearing` and `brains` decide and do no I/O; `engines` and `services` are what
they have done. The packages of the models are imported in `engines` alone, when the first session wants them.
"""

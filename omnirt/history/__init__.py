"""`omnirt history` and `omnirt storage`: what is stored, for people and scripts, with or without a daemon.

Both work on the data directory itself; the locks of live sessions keep them off what is being recorded.
"""

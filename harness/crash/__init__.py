"""Kills an engine at every step it makes durable, resumes, and compares with a run that nobody disturbed.

The parts, from the bottom: `points` and `syscalls` name where a kill can land, `pipelines` what is run, `place` starts
the lives of a run, `comparing` holds it against its twin, `trial` and `call_trial` are one kill (or one failing call),
`by_step` and `by_syscall` all of them, `campaign` the whole, `report` what is left. `command` imports them when
it is called.
"""

"""Chaos: trials in which workers and the broker are killed, frozen and replaced while a known input is read.

    python -m tests.chaos --trials 100 --seed 1 --out chaos.md

Each trial has its own topics on a shared broker and is made from one integer: its input, its settings and the times
and kinds of its faults. When everything is read, what a read_committed consumer sees is compared, record by record,
with what the pure pipeline makes of the same input partitions: nothing lost, nothing twice, nothing different.

    schedule   what happens to whom, and when (pure)
    traffic    the input (pure)
    fleet      the workers, and the supervisor that restarts them
    faults     carries the schedule out
    trial      one trial from topics to comparison
    reference  what the pure pipeline makes of the input
    published  what is on the topics
    items      records in the form in which they are compared (pure)
    comparing  the comparison (pure)
    report     the table of a campaign
"""

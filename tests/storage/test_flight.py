"""The shared numbers of a run's processes: summed over all, gone on with after a death, and no two in their turn at once."""

from __future__ import annotations

import multiprocessing
import os
import signal
import time

from tracemill.storage.flight import FlightRecorder, Flown, left, prepare


def test_numbers_are_summed_over_all_processes(tmp_path):
    prepare(tmp_path, 2)
    one, two = FlightRecorder(tmp_path, 0, 2), FlightRecorder(tmp_path, 1, 2)
    one.set(3, 10, 7, 700, 0.5)
    two.set(1, 4, 3, 300, 0.25)
    assert one.all() == two.all() == left(tmp_path) == Flown(4, 14, 10, 1000, 0.75)


def test_who_takes_the_place_of_a_dead_one_goes_on_from_its_numbers(tmp_path):
    FlightRecorder(tmp_path, 0).set(3, 10, 7, 700, 0.5)
    heir = FlightRecorder(tmp_path, 0)
    assert heir.all() == Flown(0, 10, 7, 700, 0.5), "what it had in flight will not come"
    heir.set(1, 1, 0, 0, 0.0)
    assert heir.all() == Flown(1, 11, 7, 700, 0.5)


def test_a_new_call_begins_at_nought(tmp_path):
    FlightRecorder(tmp_path, 0).set(3, 10, 7, 700, 0.5)
    prepare(tmp_path, 1, anew=True)
    assert FlightRecorder(tmp_path, 0).all() == Flown()


def _count(folder, number, rounds):
    flight = FlightRecorder(folder, number, 4)
    for mine in range(1, rounds + 1):
        with flight.turn():
            before = flight.all().sent
            flight.set(0, mine, 0, 0, 0.0)
            assert flight.all().sent == before + 1


def test_turns_of_processes_exclude_one_another(tmp_path):
    prepare(tmp_path, 4)
    context = multiprocessing.get_context("spawn")
    processes = [context.Process(target=_count, args=(tmp_path, number, 300)) for number in range(4)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(60)
    assert [process.exitcode for process in processes] == [0] * 4
    assert left(tmp_path).sent == 1200


def _hold(folder, taken):
    with FlightRecorder(folder, 0, 2).turn():
        taken.set()
        time.sleep(60)


def test_a_process_that_dies_in_its_turn_blocks_nobody(tmp_path):
    prepare(tmp_path, 2)
    context = multiprocessing.get_context("spawn")
    taken = context.Event()
    process = context.Process(target=_hold, args=(tmp_path, taken))
    process.start()
    assert taken.wait(30)
    os.kill(process.pid, signal.SIGKILL)
    process.join(30)
    with FlightRecorder(tmp_path, 1, 2).turn():
        assert left(tmp_path) == Flown()

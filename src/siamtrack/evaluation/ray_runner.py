"""The same work on a Ray cluster. Its machines need siamtrack, the model, and the pictures under the same paths."""

from __future__ import annotations

import importlib
import logging
from collections.abc import Generator, Sequence
from typing import Any

from siamtrack.errors import MissingExtraError, SettingsError, SiamtrackError
from siamtrack.evaluation.runner_workers import Opener, Outcome, Task, Worker, longest_first


def run_on_ray(opener: Opener, tasks: Sequence[Task], address: str, *, threads: int = 1) -> Generator[Outcome, None, None]:
    """The outcomes of tasks, each as soon as it is there; answers are as on one machine, bit for bit.

    A machine that is lost fails the tasks that it was at, and the others go on.

    Args:
        opener: of the tracker; called once in each worker.
        tasks: what to do.
        address: of the cluster, as `ray.init` takes it: "auto", "HOST:PORT", "ray://HOST:PORT"; "local" starts one here.
        threads: processors that Ray keeps for each worker; as many workers are started as there is room for.

    Raises:
        MissingExtraError: Ray is not installed.
        SiamtrackError: there is no such cluster.
        SettingsError: no machine of it has so many processors.
    """
    ray = connect(address)
    try:
        actor = ray.remote(num_cpus=threads)(Worker)
        room = sum(int(node["Resources"].get("CPU", 0)) // threads for node in ray.nodes() if node["Alive"])
        if not room:  # Ray would wait for such a machine for ever
            raise SettingsError(f"No machine of the cluster has the {threads} processors of a worker; give fewer --threads.")
        waiting, at_work = longest_first(tasks), dict[Any, tuple[Any, Task]]()
        idle = [actor.remote(opener) for _ in range(min(room, len(tasks)))]
        while waiting or at_work:
            while waiting and idle:
                worker, task = idle.pop(), waiting.popleft()
                at_work[worker.run.remote(task)] = (worker, task)
            for reference in ray.wait(list(at_work))[0]:
                worker, task = at_work.pop(reference)
                try:
                    outcome = ray.get(reference)
                except ray.exceptions.RayError as error:  # a worker that was lost, or what it needs is not on its machine
                    outcome = Outcome(sequence=task.name, failure=_reason(error))
                    worker = actor.remote(opener)
                idle.append(worker)
                yield outcome
    finally:
        ray.shutdown()


def connect(address: str) -> Any:
    """The package, connected to a cluster.

    Raises:
        MissingExtraError: it is not installed.
        SiamtrackError: there is no such cluster.
    """
    try:
        ray = importlib.import_module("ray")
    except ImportError:
        raise MissingExtraError("ray", extra="ray", purpose="Evaluation on a cluster (--ray)") from None
    try:
        ray.init(address=address, log_to_driver=False, logging_level=logging.ERROR)
    except (ConnectionError, RuntimeError, ValueError) as error:
        raise SiamtrackError(f"There is no Ray cluster at '{address}': {error}. 'ray start --head' begins one.") from None
    return ray


def _reason(error: Exception) -> str:
    """The last line of what Ray says, which can be pages."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return f"Ray lost its worker: {lines[-1] if lines else type(error).__name__}"

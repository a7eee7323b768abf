"""Steps of several nets on a GPU, recorded once and replayed side by side."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch


class Replay:
    """Runs the same steps again and again, each on a stream of its own.

    A small net's step is a hundred kernels of microseconds each, and starting one from Python takes
    longer than running it. A CUDA graph starts all of them at once; the branches of several nets in
    one graph run beside each other. The kernels are those that would have run anyway, so that
    results are equal to the last bit. What a step reads must lie in tensors that stay where they
    are: it is recorded with their addresses.

    The first call runs the steps as they are, for libraries and optimisers to set themselves up;
    the second records. Steps that cannot be recorded (they ask the GPU for a number, say) go on as
    they are.

    Args:
        steps: The steps; none may depend on another.
        generators: Generators they draw from, on the GPU.
        streams: A stream for each.
    """

    def __init__(
        self,
        steps: Sequence[Callable[[], None]],
        generators: Sequence[torch.Generator],
        streams: Sequence[torch.cuda.Stream],
    ) -> None:
        self._steps, self._generators, self._streams = steps, generators, streams
        self._graph: torch.cuda.CUDAGraph | None = None
        self._calls = 0
        self.refused = ""
        """Why the steps cannot be recorded; empty while nothing is known against it."""

    def __call__(self) -> None:
        """Run every step once."""
        self._calls += 1
        if self._calls == 2 and not self.refused:
            self._record()
        if self._graph is None:
            self._side_by_side()
        else:
            self._graph.replay()

    def _side_by_side(self) -> None:
        now = torch.cuda.current_stream()
        for step, stream in zip(self._steps, self._streams, strict=True):
            stream.wait_stream(now)
            with torch.cuda.stream(stream):
                step()
        for stream in self._streams:
            now.wait_stream(stream)

    def _record(self) -> None:
        graph = torch.cuda.CUDAGraph()
        states = [generator.get_state() for generator in self._generators]
        for generator in self._generators:
            graph.register_generator_state(generator)
        try:
            with torch.cuda.graph(graph):
                self._side_by_side()
        except torch.OutOfMemoryError:
            raise
        except RuntimeError as error:
            self.refused = str(error).partition("\n")[0]
            # A recording that broke off leaves them waiting for its end.
            for generator, state in zip(self._generators, states, strict=True):
                generator.graphsafe_set_state(generator.clone_state())
                generator.set_state(state)
        else:
            self._graph = graph
